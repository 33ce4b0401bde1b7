"""Family 09: opening, closing, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from omniq.errors import StoreClosedError
from omniq.models.record import Completion
from omniq.models.status import TaskStatus
from omniq.storage.capabilities import Durability
from omniq_conformance.cases.limits import refused
from omniq_conformance.cases.specimens import T0, claim, event, outcome, spec, start
from omniq_conformance.forking import FORKED
from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.references import reference_to
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode, Stores

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from omniq_conformance.space import Space

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)


def _is_volatile(stores: Stores) -> bool:
    return stores.task_queue.capabilities.durability is Durability.NONE


async def _reopened(space: Space, stores: Stores) -> Stores:
    if _is_volatile(stores):
        msg = "The backend keeps nothing once it is closed (durability none)."
        raise UnverifiedError(msg)
    await space.close()
    return await space.open()


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
            if not _is_volatile(stores):
                stores = await _reopened(space, stores)
        assert seen == sorted(set(seen))


@case("OQ-E-0901")
async def event_positions_survive(trial: Trial) -> None:
    """A position is good after the store was closed and opened, even if all that was read is trimmed."""
    async with trial.space() as space:
        stores = await space.open()
        await stores.events.append([event("t", 1), event("t", 2)])
        position = (await stores.events.read())[-1].position
        await stores.events.trim(T0 + 1)
        stores = await _reopened(space, stores)
        await stores.events.append([event("t", 3)])
        assert [each.version for each in await stores.events.read(after=position)] == [3]


@case("OQ-X-0901")
async def closed_stores(trial: Trial) -> None:
    """A storage that is closed refuses every call; opening twice and closing twice is harmless."""
    async with trial.space() as space:
        stores = await space.open()
        for storage in stores.opened:
            await storage.open()
        sibling = stores.task_queue.sibling()
        with refused(StoreClosedError, "a call before open()"):
            await sibling.enqueue([spec("t")], now=T0)
        with refused(StoreClosedError, "reading the capabilities before open()"):
            str(sibling.capabilities)
        async with sibling:
            await sibling.enqueue([spec("t")], now=T0)
            for storage in stores.opened:
                await storage.close()
                await storage.close()
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "enqueue": lambda: stores.task_queue.enqueue([spec("u")], now=T0),
                "claim": lambda: claim(stores.task_queue, now=T0),
                "get": lambda: stores.task_queue.get(["t"]),
                "put": lambda: stores.results.put([outcome("t")], now=T0),
                "append": lambda: stores.events.append([event("t", 1)]),
                "due": lambda: stores.schedules.due(now=T0),
            }
            for name, call in calls.items():
                with refused(StoreClosedError, f"{name} after close()"):
                    await call()
            records = await sibling.list(now=T0)
            assert [record.id for record in records] == ["t"]


@case("OQ-X-0902")
async def closing_ends_waits(trial: Trial) -> None:
    """Closing makes everything that waits return, and calls that are under way end one way or the other."""
    async with trial.space() as space:
        stores = await space.open()
        queue = stores.task_queue
        await queue.enqueue([spec("t", eta=2**43)])
        waits = [
            asyncio.ensure_future(queue.wait(["a"], 60)),
            asyncio.ensure_future(queue.wait_done(["t"], 60)),
            asyncio.ensure_future(_drain(stores)),
        ]
        calls = [asyncio.ensure_future(queue.enqueue([spec(f"u{n}")])) for n in range(14)]
        await asyncio.sleep(0.02)
        await stores.close()
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*waits, *calls, return_exceptions=True)
        assert [a for a in answers if isinstance(a, BaseException) and not isinstance(a, StoreClosedError)] == []


async def _drain(stores: Stores) -> None:
    async for _ in stores.events.tail():
        pass


@case("OQ-X-0903")
async def nothing_leaks(trial: Trial) -> None:
    """Opening and closing again and again leaves no open file, thread or asyncio task behind."""
    async with trial.space() as space:
        await space.open()
        left: list[dict[str, int]] = []
        for number in range(14):
            opened = await trial.harness.open(space.name)
            await _use(Stores(opened), f"t{number}")
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
    order = json.dumps({"harness": reference_to(trial.harness), "namespace": trial.space().name})
    done = subprocess.run(  # noqa: S603 - this interpreter with a module of this package
        [sys.executable, "-m", "omniq_conformance.forking", order],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stdout) == (0, FORKED), done.stderr


async def _use(stores: Stores, id: str) -> None:
    grant = await start(stores.task_queue, id)
    await stores.task_queue.complete([Completion(id, grant.token)])
    await stores.results.put([outcome(id)])
    await stores.events.read(limit=1)
    await stores.schedules.next_due()


def _left() -> dict[str, int]:
    folder = Path("/proc/self/fd")
    files = len(list(folder.iterdir())) if folder.is_dir() else 0
    return {"files": files, "threads": threading.active_count(), "asyncio tasks": len(asyncio.all_tasks())}
