"""Family 12: stores that older versions wrote are opened, those of newer ones refused."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniq.errors import StoreFormatError
from omniq.models.record import Completion, Token
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.capabilities import Durability
from omniq.storage.schedules import Advance
from omniq_conformance.cases.limits import refused
from omniq_conformance.cases.sharing import require_processes
from omniq_conformance.cases.specimens import T0, claim, spec, start
from omniq_conformance.dumps import differences, dump
from omniq_conformance.golden import Golden, golden_stores
from omniq_conformance.opening import Opener
from omniq_conformance.outcomes import DivergenceError, UnsupportedError, UnverifiedError
from omniq_conformance.registry import Trial, case

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from omniq_conformance.space import Space, Stores

__all__: list[str] = []

_KILLS = {"smoke": 2, "pr": 10}
_MANY_KILLS = 200
_ROUNDS = 3
_NOTHING: Mapping[str, Mapping[str, Any]] = {
    kind: {} for kind in ("tasks", "queues", "outbox", "results", "events", "schedules")
}


def _check(expected: Mapping[str, Mapping[str, Any]], actual: Mapping[str, Mapping[str, Any]], what: str) -> None:
    if faults := list(differences(expected, actual)):
        lines = "\n".join(faults[:20])
        msg = f"{what} has {len(faults)} differences:\n{lines}"
        raise DivergenceError(msg)


async def _check_lasting(trial: Trial) -> None:
    """Go on only if the backend keeps anything.

    Raises:
        UnsupportedError: The backend keeps nothing, and indeed another process would find nothing.
    """
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        if queue.capabilities.durability is not Durability.NONE:
            return
        await queue.enqueue([spec("t")], now=T0)
        await space.close()
        elsewhere = pickle.loads(pickle.dumps(trial.harness))  # noqa: S301 - the harness as another process gets it
        opened = await elsewhere.open(space.name)
        found = await opened.task_queue.list(now=T0) if opened.task_queue else []
        await opened.close()
    if not found:
        msg = "The backend keeps nothing beyond its process (durability none): a reopened store is empty."
        raise UnsupportedError(msg)


async def _golden(trial: Trial) -> list[Golden]:
    """Return the golden stores of the harness.

    Raises:
        UnverifiedError: There are none.
    """
    await _check_lasting(trial)
    found = golden_stores(trial.harness.golden)
    if not found:
        msg = (
            "There is no golden store. Make one of every released format with `python -m omniq_conformance.golden "
            f"{trial.harness.backend} FOLDER NAME`, check it in, and name the folder in Harness.golden."
        )
        raise UnverifiedError(msg)
    trial.evidence["formats"] = [golden.name for golden in found]
    return found


@contextlib.asynccontextmanager
async def _restored(trial: Trial, golden: Golden) -> AsyncIterator[Space]:
    async with trial.space() as space:
        await trial.harness.restore(space.name, golden.store)
        yield space


@case("OQ-X-1201")
async def old_stores(trial: Trial) -> None:
    """A store of every older format opens with everything in it, each time it is opened."""
    for golden in await _golden(trial):
        async with _restored(trial, golden) as space:
            for time in ("the first", "the second"):
                opened = (await space.open()).opened
                _check(golden.expected, await dump(opened, golden.now), f"The store {golden.name}, {time} time,")
                if opened.events is not None and golden.middle is not None:
                    rest = await opened.events.read(after=golden.middle, limit=len(golden.rest) + 1)
                    assert [event.event_id for event in rest] == golden.rest
                await space.close()


@case("OQ-X-1202")
async def old_stores_at_work(trial: Trial) -> None:
    """The tasks, tokens, keys and schedules of a store of an older format go on as if nothing had happened."""
    for golden in await _golden(trial):
        async with _restored(trial, golden) as space:
            stores = await space.open()
            await _settle_running(stores, golden)
            await _refuse_repeats(stores, golden)
            await _claim_ready(stores, golden)
            await _advance_schedules(stores, golden)
            await _remove(stores, golden)


async def _settle_running(stores: Stores, golden: Golden) -> None:
    running = [task for task in golden.expected["tasks"].values() if task["state"] == "RUNNING"]
    items = [Completion(task["id"], Token(task["seq"], task["epoch"], task["nonce"])) for task in running]
    for task in running:
        held = await stores.task_queue.held(task["worker"], task["nonce"])
        assert task["id"] in [grant.id for grant in held]
    assert await stores.task_queue.complete(items, now=golden.now) == ["ok"] * len(items)


async def _refuse_repeats(stores: Stores, golden: Golden) -> None:
    tasks = golden.expected["tasks"].values()
    again = [spec(task["id"], task["queue"]) for task in tasks]
    answers = await stores.task_queue.enqueue(again, now=golden.now)
    assert [answer.created for answer in answers] == [False] * len(again)
    waiting = [task for task in tasks if task["state"] == "PENDING" and task["expires_at"] is None]
    keys = {(task["queue"], task["unique_key"]): task["id"] for task in waiting if task["unique_key"] is not None}
    for (queue, key), id in keys.items():
        (answer,) = await stores.task_queue.enqueue([spec(f"new {id}", queue, unique_key=key)], now=golden.now)
        assert answer == (id, False)


async def _claim_ready(stores: Stores, golden: Golden) -> None:
    """What was ready is granted, in the right order, before what is new; new tasks have new numbers."""
    queue, now = stores.task_queue, golden.now
    paused = {name for name, stats in golden.expected["queues"].items() if stats["paused"]}
    await queue.enqueue([spec("brand new")], now=now)
    names = [*golden.expected["queues"], "a"]
    ready = [
        task
        for task in golden.expected["tasks"].values()
        if task["state"] == "PENDING" and task["ready_at"] <= now and not (task["expires_at"] or now + 1) <= now
    ]
    order = sorted(ready, key=lambda task: (-task["priority"], task["ready_at"], task["seq"]))
    grants = await claim(queue, *names, limit=1000, now=now)
    assert [grant.id for grant in grants] == [t["id"] for t in order if t["queue"] not in paused] + ["brand new"]
    assert grants[-1].token.seq > max(task["seq"] for task in golden.expected["tasks"].values())
    items = [Completion(grant.id, grant.token) for grant in grants]
    assert await queue.complete(items, now=now) == ["ok"] * len(items)


async def _advance_schedules(stores: Stores, golden: Golden) -> None:
    if stores.opened.schedules is None:
        return
    schedules = golden.expected["schedules"].values()
    advances = [Advance(id=each["id"], expected_version=each["version"], next_run=golden.now) for each in schedules]
    assert await stores.schedules.advance(advances) == [True] * len(advances)
    due = [schedule.id for schedule in await stores.schedules.due(now=golden.now)]
    assert due == sorted(each["id"] for each in schedules if not each["paused"])


async def _remove(stores: Stores, golden: Golden) -> None:
    """Everything can be ended and removed."""
    queue = stores.task_queue
    await queue.cancel(list(golden.expected["tasks"]), now=golden.now)
    left = await queue.list(limit=1000, now=golden.now)
    assert {record.state for record in left} <= TERMINAL | {TaskStatus.PENDING}
    await queue.cancel([record.id for record in left], now=golden.now)
    entries = await queue.outbox(10_000, now=golden.now)
    if stores.opened.events is not None:
        assert await stores.events.append(entries) == len(entries)
    await queue.outbox_ack(entries)
    assert len(await queue.purge(TERMINAL, golden.now + 1, 10_000)) == len(left)
    assert await queue.list(now=golden.now) == []


@case("OQ-X-1203")
async def opened_at_once(trial: Trial) -> None:
    """Two processes may be the first to open a new store, or one of an older format, at the same time."""
    await _check_lasting(trial)
    await require_processes(trial.space())
    with Opener(trial.harness) as one, Opener(trial.harness) as other:
        one.wait_until_ready()
        other.wait_until_ready()
        for golden in [*golden_stores(trial.harness.golden), *([None] * _ROUNDS)]:
            async with trial.space() as space:
                await _begin(trial, space, golden)
                expected, now = _expected(golden)
                for opener in (one, other):
                    opener.ask(namespace=space.name, now=now)
                for opener in (one, other):
                    _check(expected, opener.answer(), "What one of two processes found")
                _check(expected, await dump((await space.open()).opened, now), "What was left by both")


@case("OQ-X-1204")
async def killed_while_opening(trial: Trial) -> None:
    """A process that is killed at any moment of opening a new or older store does no harm to the store."""
    await _check_lasting(trial)
    await require_processes(trial.space())
    if not hasattr(os, "fork"):
        msg = "This system has no fork, with which processes are made that can be killed while they open a store."
        raise UnverifiedError(msg)
    kills = _KILLS.get(trial.profile.name, _MANY_KILLS)
    killed = 0
    with Opener(trial.harness) as opener:
        opener.wait_until_ready()
        for golden in (None, *golden_stores(trial.harness.golden)):
            whole = await _opening(trial, opener, golden, None)
            assert whole["code"] == 0
            seconds = whole["seconds"]
            for number in range(kills):
                answer = await _opening(trial, opener, golden, seconds * number / kills)
                killed += answer["killed"]
                if not answer["killed"]:
                    seconds = min(seconds, answer["seconds"])  # the first one was slow
    trial.evidence["killed"] = killed


async def _opening(trial: Trial, opener: Opener, golden: Golden | None, kill_after: float | None) -> dict[str, Any]:
    """Let a process open a store, kill it after so many seconds, and check what is left."""
    async with trial.space() as space:
        await _begin(trial, space, golden)
        expected, now = _expected(golden)
        opener.ask(namespace=space.name, now=now, kill_after=60 if kill_after is None else kill_after)
        answer: dict[str, Any] = opener.answer()
        stores = await space.open()
        _check(expected, await dump(stores.opened, now), f"What {answer['seconds']:.4f} s of opening left")
        grant = await start(stores.task_queue, "after", now=now)
        assert await stores.task_queue.complete([Completion("after", grant.token)], now=now) == ["ok"]
        return answer


async def _begin(trial: Trial, space: Space, golden: Golden | None) -> None:
    if golden is not None:
        await trial.harness.restore(space.name, golden.store)


def _expected(golden: Golden | None) -> tuple[Mapping[str, Mapping[str, Any]], int]:
    return (_NOTHING, T0) if golden is None else (golden.expected, golden.now)


@case("OQ-X-1205")
async def newer_stores(trial: Trial) -> None:
    """A store that only a newer version can work with is refused, and not changed in the least."""
    await _check_lasting(trial)
    async with trial.space() as space:
        await start((await space.open()).task_queue, "t", now=T0)
        await space.close()
        await trial.harness.make_newer(space.name)
        before = await _saved(trial, space)
        for _ in range(2):
            with refused(StoreFormatError, "a store of a newer format"):
                await space.open()
        assert await _saved(trial, space) == before


async def _saved(trial: Trial, space: Space) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        await trial.harness.save(space.name, Path(folder))
        return _files(Path(folder))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
