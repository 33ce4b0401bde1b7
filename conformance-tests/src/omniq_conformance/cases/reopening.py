"""Family 09: opening, closing, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from omniq.errors import StoreClosedError
from omniq.models.record import Completion
from omniq.models.status import TaskStatus
from omniq.storage.capabilities import Durability
from omniq_conformance.cases.limits import refused
from omniq_conformance.cases.specimens import T0, claim, event, outcome, spec, start
from omniq_conformance.forking import FORKED
from omniq_conformance.harness import OpenedStores
from omniq_conformance.interpreters import run_module
from omniq_conformance.outcomes import UnsupportedError, UnverifiedError
from omniq_conformance.references import reference_to
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from omniq.storage.events import EventStorage
    from omniq_conformance.space import Space, Stores

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)


async def _reopened(space: Space, stores: Stores) -> Stores:
    """Close everything and open it again.

    Raises:
        UnsupportedError: A role is declared to keep nothing (durability none), and nothing is there any more.
    """
    volatile = any(storage.capabilities.durability is Durability.NONE for storage in stores.opened)
    await space.close()
    again = await space.open()
    if volatile and not await _kept(again.opened):
        msg = "The backend keeps nothing once it is closed: it declares durability none, and was empty then."
        raise UnsupportedError(msg)
    return again


async def _kept(opened: OpenedStores) -> bool:
    """Tell whether any role has anything."""
    found: list[object] = []
    if opened.task_queue is not None:
        found += [*await opened.task_queue.list(limit=1), *await opened.task_queue.queues()]
        found += await opened.task_queue.outbox(1, now=2**43)
    if opened.results is not None:
        found += await opened.results.list(limit=1, now=T0)
    if opened.events is not None:
        found += await opened.events.read(limit=1)
    if opened.schedules is not None:
        found += await opened.schedules.list(limit=1)
    return bool(found)


@case("OQ-Q-0901", modes=BOTH)
async def everything_survives(trial: Trial) -> None:
    """What was acknowledged is there after everything was closed and opened again."""
    async with trial.space() as space:
        stores = await space.open()
        grant = await start(stores.task_queue, "t", now=T0)
        await stores.task_queue.enqueue([spec("u", eta=T0 + 5, unique_key="k"), spec("v", "b")], now=T0)
        await stores.task_queue.pause(["b"])
        before = await stores.task_queue.list(now=T0)
        outbox = await stores.task_queue.outbox(now=T0)
        stores = await _reopened(space, stores)
        assert await stores.task_queue.list(now=T0) == before
        assert await stores.task_queue.outbox(now=T0) == outbox
        assert [stats.paused for stats in await stores.task_queue.queues(now=T0)] == [False, True]
        assert await stores.task_queue.held("worker", grant.token.nonce) == [grant]
        assert await stores.task_queue.complete([Completion("t", grant.token)], now=T0) == ["ok"]
        assert [a.created for a in await stores.task_queue.enqueue([spec("w", unique_key="k")], now=T0)] == [False]


@case("OQ-Q-0902")
async def numbers_are_never_used_again(trial: Trial) -> None:
    """A seq is not used again, even if every task was purged and the store closed and opened."""
    async with trial.space() as space:
        stores = await space.open()
        seen: list[int] = []
        for _ in range(3):
            grant = await start(stores.task_queue, "t", now=T0)
            seen.append(grant.token.seq)
            await stores.task_queue.complete([Completion("t", grant.token)], now=T0)
            await stores.task_queue.outbox_ack(await stores.task_queue.outbox(now=T0))
            assert await stores.task_queue.purge(frozenset(TaskStatus), T0 + 1) == ["t"]
            await space.close()
            stores = await space.open()
        assert seen == sorted(set(seen))


@case("OQ-E-0901")
async def event_positions_survive(trial: Trial) -> None:
    """A position is good after the store was closed and opened, even if all that was read is trimmed."""
    async with trial.space() as space:
        stores = await space.open()
        await stores.events.append([event("t", 1), event("t", 2)])
        position = (await stores.events.read())[-1].position
        await stores.events.trim(T0 + 1)
        await stores.events.append([event("t", 3)])
        stores = await _reopened(space, stores)
        assert [each.version for each in await stores.events.read(after=position)] == [3]


@case("OQ-X-0901")
async def closed_stores(trial: Trial) -> None:
    """A storage that is closed refuses every call; opening twice and closing twice is harmless."""
    async with trial.space() as space:
        stores = await space.open()
        calls = _calls(stores.opened)
        for storage in stores.opened:
            await storage.open()
        async with contextlib.AsyncExitStack() as stack:
            sibling = None
            if stores.opened.task_queue is not None:
                sibling = stores.opened.task_queue.sibling()
                with refused(StoreClosedError, "a call before open()"):
                    await sibling.enqueue([spec("t")], now=T0)
                with refused(StoreClosedError, "reading the capabilities before open()"):
                    str(sibling.capabilities)
                await stack.enter_async_context(sibling)
                await sibling.enqueue([spec("t")], now=T0)
            for storage in stores.opened:
                await storage.close()
                await storage.close()
            for name, call in calls.items():
                with refused(StoreClosedError, f"{name} after close()"):
                    await call()
            if sibling is not None:
                records = await sibling.list(now=T0)
                assert [record.id for record in records] == ["t"]


def _calls(opened: OpenedStores) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return calls of every role that is offered."""
    found: dict[str, Callable[[], Awaitable[object]]] = {}
    if (queue := opened.task_queue) is not None:
        found["enqueue"] = lambda: queue.enqueue([spec("u")], now=T0)
        found["claim"] = lambda: claim(queue, now=T0)
        found["get"] = lambda: queue.get(["t"])
    if (results := opened.results) is not None:
        found["put"] = lambda: results.put([outcome("t")], now=T0)
    if (events := opened.events) is not None:
        found["append"] = lambda: events.append([event("t", 1)])
    if (schedules := opened.schedules) is not None:
        found["due"] = lambda: schedules.due(now=T0)
    return found


@case("OQ-X-0902")
async def closing_ends_waits(trial: Trial) -> None:
    """Closing makes everything that waits return, and calls that are under way end one way or the other."""
    async with trial.space() as space:
        stores = await space.open()
        waits: list[Awaitable[object]] = []
        calls: list[Awaitable[object]] = []
        if (queue := stores.opened.task_queue) is not None:
            await queue.enqueue([spec("t", eta=2**43)])
            waits += [queue.wait(["a"], 60), queue.wait_done(["t"], 60)]
            calls += [queue.enqueue([spec(f"u{n}")]) for n in range(14)]
        if (events := stores.opened.events) is not None:
            waits.append(_drain(events))
            calls += [events.append([event(f"u{n}", 1)]) for n in range(7)]
        if (results := stores.opened.results) is not None:
            calls += [results.put([outcome(f"u{n}")]) for n in range(7)]
        waits = list(map(asyncio.ensure_future, waits))
        calls = list(map(asyncio.ensure_future, calls))
        await asyncio.sleep(0.02)
        await stores.close()
        async with asyncio.timeout(trial.profile.patience):
            answers = await asyncio.gather(*waits, *calls, return_exceptions=True)
        assert [a for a in answers if isinstance(a, BaseException) and not isinstance(a, StoreClosedError)] == []


async def _drain(events: EventStorage) -> None:
    async for _ in events.tail():
        pass


@case("OQ-X-0905")
async def closed_roles(trial: Trial) -> None:
    """A storage that is closed refuses every call and ends its waits, though other roles of the handle are open."""
    async with trial.space() as space:
        opened = (await space.open()).opened
        waits: list[asyncio.Future[None]] = []
        if (queue := opened.task_queue) is not None:
            waits.append(asyncio.ensure_future(queue.wait(["a"], 60)))
            await asyncio.sleep(0.02)
        for name in attrs.fields_dict(OpenedStores):
            storage = getattr(opened, name)
            if storage is None:
                continue
            await storage.close()
            async with asyncio.timeout(trial.profile.patience):
                answers = await asyncio.gather(*waits, return_exceptions=True)
            assert [a for a in answers if a is not None and not isinstance(a, StoreClosedError)] == []
            for call_name, call in _calls(OpenedStores(**{name: storage})).items():
                with refused(StoreClosedError, f"{call_name} after close()"):
                    await call()


@case("OQ-X-0903")
async def nothing_leaks(trial: Trial) -> None:
    """Opening and closing again and again leaves no open file, thread or asyncio task behind."""
    async with trial.space() as space:
        await space.open()
        left: list[dict[str, int]] = []
        for number in range(14):
            opened = await trial.harness.open(space.name)
            await _use(opened, f"t{number}")
            await opened.close()
            gc.collect()
            left.append(_left())
        # Thread pools and caches may still grow in the first rounds.
        assert left[-1] == left[7]


@case("OQ-X-0904")
def forked_children(trial: Trial) -> None:
    """After a fork the parent's storages refuse the child's calls, and the parent goes on."""
    if not hasattr(os, "fork"):
        msg = "This system has no fork."
        raise UnverifiedError(msg)
    done = run_module("forking", {"harness": reference_to(trial.harness), "namespace": trial.space().name})
    assert (done.returncode, done.stdout) == (0, FORKED), done.stderr


async def _use(opened: OpenedStores, id: str) -> None:
    if opened.task_queue is not None:
        grant = await start(opened.task_queue, id)
        await opened.task_queue.complete([Completion(id, grant.token)])
    if opened.results is not None:
        await opened.results.put([outcome(id)])
    if opened.events is not None:
        await opened.events.read(limit=1)
    if opened.schedules is not None:
        await opened.schedules.next_due()


def _left() -> dict[str, int]:
    folder = Path("/proc/self/fd")
    files = len(list(folder.iterdir())) if folder.is_dir() else 0
    return {"files": files, "threads": threading.active_count(), "asyncio tasks": len(asyncio.all_tasks())}
