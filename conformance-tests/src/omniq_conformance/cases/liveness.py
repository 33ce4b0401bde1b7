"""Family 14: nothing starves, and once faults stop, everything that can end does so in a bounded number of calls."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

from omniq.models.record import Completion, Failure, Release, TaskFilter
from omniq.models.status import TERMINAL, TaskStatus
from omniq_conformance.cases.specimens import LEASE, T0, claim, event, outcome, spec
from omniq_conformance.cases.timing import LateError, measured
from omniq_conformance.outcomes import DivergenceError, UnverifiedError, VacuousError
from omniq_conformance.registry import Trial, case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import TaskSpec
    from omniq.storage.task_queue import TaskQueue

__all__: list[str] = []

_LARGEST_SWEEP = 5000
_BACKLOG = {"smoke": 1000}
_YOUNG = {"smoke": 1000}
_QUEUES = ("a", "b", "c")


async def _fill(queue: TaskQueue, specs: Sequence[TaskSpec], now: int = T0) -> None:
    for start in range(0, len(specs), 1000):
        await queue.enqueue(specs[start : start + 1000], now=now)


async def _count(queue: TaskQueue, *states: TaskStatus, now: int = T0) -> int:
    return await queue.count(TaskFilter(states=frozenset(states)), now=now)


def _sweep(queue: TaskQueue) -> int:
    """Return how many tasks one `recover` handles.

    Raises:
        UnverifiedError: More than are made here.
    """
    size = queue.capabilities.max_sweep
    assert size >= 500, f"max_sweep is {size}; the contract wants at least 500"  # noqa: PLR2004 - the contract's number
    if size > _LARGEST_SWEEP:
        msg = f"max_sweep is {size}; so many tasks are not made here."
        raise UnverifiedError(msg)
    return size


@case("OQ-Q-1401")
async def drained_after_faults(trial: Trial) -> None:
    """After workers died, failed and gave back at random, one worker ends every task in a bounded number of calls."""
    rng = Random(trial.seed)  # noqa: S311 - reproducible choices
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        specs = [spec(f"t{n}", _QUEUES[n % 3], priority=n % 10, max_attempts=9) for n in range(200)]
        await _fill(queue, specs)
        now, faults = T0, 0
        for number in range(40):
            now += rng.choice((1, LEASE // 2, LEASE))
            grants = await claim(queue, *_QUEUES, nonce=number, limit=rng.randint(1, 30), now=now)
            failing, released = grants[::3], grants[1::3]  # the rest is forgotten, as by a worker that died
            await queue.fail([Failure(g.id, g.token, "e", now + rng.randint(0, LEASE)) for g in failing], now=now)
            await queue.release([Release(g.id, g.token, now) for g in released], now=now)
            faults += len(grants)
        now += 2 * LEASE
        calls = await _drain(queue, now, limit=20)
        states = [record.state for record in await queue.list(limit=1000, now=now)]
    assert set(states) <= {TaskStatus.COMPLETED, TaskStatus.FAILED}, states
    assert calls <= len(specs) // 20 + 1, f"{calls} calls, each for 20 of {len(specs)} tasks"
    trial.evidence.update(faults=faults, calls=calls, completed=states.count(TaskStatus.COMPLETED))
    if not faults or TaskStatus.COMPLETED not in states:
        msg = f"There were {faults} faults, and the tasks ended as {set(states)}."
        raise VacuousError(msg)


async def _drain(queue: TaskQueue, now: int, limit: int) -> int:
    """Claim and complete until nothing is left; return after how many claims."""
    calls = 0
    while grants := await claim(queue, *_QUEUES, nonce=10**6 + calls, limit=limit, now=now):
        calls += 1
        await queue.complete([Completion(g.id, g.token) for g in grants], now=now)
    return calls


@case("OQ-Q-1402")
async def recovered_in_pages(trial: Trial) -> None:
    """When many leases run out at once, a few calls recover them all, each once, the oldest first."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        size = _sweep(queue)
        number = size + 50 if trial.profile.name == "smoke" else 2 * size + 50
        await _fill(queue, [spec(f"t{n}", "a" if n % 2 else "b") for n in range(number)])
        claimed = [
            grant.id for n in range(5) for grant in await claim(queue, "a", "b", nonce=n, limit=number, now=T0 + n)
        ]
        await _fill(queue, [spec(f"e{n}", expires_at=T0 + LEASE) for n in range(50)], T0 + 9)
        recovered: list[str] = []
        expired: list[str] = []
        calls = 0
        while found := await queue.recover(["a", "b"], now=T0 + 2 * LEASE):
            calls += 1
            recovered += [id for id, state in found if state is TaskStatus.PENDING]
            expired += [id for id, state in found if state is TaskStatus.FAILED]
            assert calls <= number // size + 2, f"{calls} calls for {number} tasks, of which one may handle {size}"
        assert recovered == claimed
        assert expired == [f"e{n}" for n in range(50)]
        trial.evidence.update(tasks=number, calls=calls)


@case("OQ-Q-1403")
async def ready_behind_expired(trial: Trial) -> None:
    """More expired tasks than one sweep ends, ahead of ready ones, neither hold these up nor are granted."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        number = _sweep(queue) + 20
        await _fill(queue, [spec(f"e{n}", priority=9, expires_at=T0 + 1) for n in range(number)])
        await queue.enqueue([spec("ready"), spec("too", priority=5)], now=T0)
        granted = [grant.id for grant in await claim(queue, limit=30, now=T0 + 5)]
        if granted != ["too", "ready"]:
            msg = f"Of {number} expired tasks and two ready ones, {granted} were granted."
            raise DivergenceError(msg)
        calls = 0
        while await queue.recover(["a"], now=T0 + 5):
            calls += 1
            assert calls <= 2  # noqa: PLR2004 - a full page, at most, and the rest
        assert await _count(queue, TaskStatus.FAILED) == number


@case("OQ-Q-1404")
async def ready_behind_stale(trial: Trial) -> None:
    """More stale runs than one sweep takes over hold up nobody: in a few claims, everything is granted."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        number = _sweep(queue) + 20
        await _fill(queue, [spec(f"t{n}", max_attempts=1) for n in range(number)])
        await claim(queue, limit=number, now=T0)
        await queue.enqueue([spec("new"), spec("other", "b")], now=T0 + 1)
        granted = await claim(queue, "a", "b", nonce=2, limit=10, now=T0 + LEASE)
        assert [grant.id for grant in granted] == ["new", "other"]
        await claim(queue, nonce=3, now=T0 + LEASE)
        assert await _count(queue, TaskStatus.FAILED) == number


@case("OQ-Q-1405")
async def poisonous_tasks(trial: Trial) -> None:
    """Tasks that always fail, or always outlive their worker, use up their attempts and let the others through."""
    attempts, poisons = 5, 12
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        await queue.enqueue([spec(f"bad{n}", priority=9, max_attempts=attempts) for n in range(poisons)], now=T0)
        await queue.enqueue([spec(f"good{n}") for n in range(30)], now=T0)
        now, calls = T0, 0
        while await _count(queue, TaskStatus.PENDING, TaskStatus.RUNNING, now=now):
            calls += 1
            now += LEASE
            grants = await claim(queue, nonce=calls, limit=4, now=now)
            failing = [g for g in grants if g.id.startswith("bad") and int(g.id[3:]) % 2]
            await queue.fail([Failure(g.id, g.token, "e", now) for g in failing], now=now)
            good = [Completion(g.id, g.token) for g in grants if g.id.startswith("good")]
            assert await queue.complete(good, now=now) == ["ok"] * len(good)
            assert calls <= (attempts * poisons + 30) // 4 + poisons, f"still not done after {calls} claims"
        records = await queue.list(limit=100, now=now)
    assert {r.id for r in records if r.state is TaskStatus.COMPLETED} == {f"good{n}" for n in range(30)}
    assert {(r.state, r.attempts) for r in records if r.id.startswith("bad")} == {(TaskStatus.FAILED, attempts)}
    trial.evidence["claims"] = calls


@case("OQ-Q-1406")
async def low_priorities(trial: Trial) -> None:
    """As soon as no higher priority is ready, the lowest gets its turn, in the same claim."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        await queue.enqueue([spec(f"low{n}") for n in range(5)], now=T0)
        for number in range(10):
            await queue.enqueue([spec(f"high{number}.{n}", priority=9) for n in range(3)], now=T0 + number)
            found = [grant.id for grant in await claim(queue, nonce=number, limit=3, now=T0 + number)]
            assert found == [f"high{number}.{n}" for n in range(3)]
        await queue.enqueue([spec("high", priority=9), spec("future", priority=9, eta=T0 + 99)], now=T0 + 10)
        found = [grant.id for grant in await claim(queue, nonce=99, limit=6, now=T0 + 10)]
        assert found == ["high", *(f"low{n}" for n in range(5))]


@case("OQ-Q-1407")
async def queues_that_rest(trial: Trial) -> None:
    """A queue that is paused, or has only future tasks, grants nothing, says when to look again, and then goes on."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        await queue.enqueue([spec(f"f{n}", eta=T0 + 50 + n) for n in range(3)], now=T0)
        await queue.enqueue([spec("p", "b"), spec("q", "b", eta=T0 + 20)], now=T0)
        assert await queue.next_at(["a"]) == T0 + 50
        assert await claim(queue, now=T0 + 49) == []
        await queue.pause(["b"])
        assert await queue.next_at(["b"]) is None
        assert await queue.next_at(["a", "b"]) == T0 + 50
        assert [grant.id for grant in await claim(queue, "a", "b", now=T0 + 50)] == ["f0"]
        assert await queue.next_at(["a", "b"]) == T0 + 51
        await queue.resume(["b"])
        assert await queue.next_at(["a", "b"]) == T0
        assert [grant.id for grant in await claim(queue, "a", "b", nonce=2, now=T0 + 51)] == ["p", "q", "f1"]
        assert await queue.next_at(["b"]) == T0 + 51 + LEASE
        await queue.pause(["b"])
        assert await queue.next_at(["b"]) == T0 + 51 + LEASE
        found = await queue.recover(["b"], now=T0 + 51 + LEASE)
        assert found == [("p", TaskStatus.PENDING), ("q", TaskStatus.PENDING)]


@case("OQ-X-1401")
async def removed_in_pages(trial: Trial) -> None:
    """Purging and trimming in pages, smaller than what there is, ends with nothing left, and removes nothing twice."""
    number, page = 250, 40
    calls = -(-number // page)
    async with trial.space() as space:
        stores = await space.open()
        queue = stores.task_queue
        ids = [f"t{n:03}" for n in range(number)]
        await queue.enqueue([spec(id, pinned=not n % 3) for n, id in enumerate(ids)], now=T0)
        for n, id in enumerate(ids):
            await queue.cancel([id], now=T0 + n // 10)
        entries = []
        while found := await queue.outbox(page, now=T0 + number):
            entries += found
            await queue.outbox_ack(found)
        assert len({entry.event_id for entry in entries}) == len(entries) == 2 * number
        purged = [await queue.purge(TERMINAL, T0 + number, page) for _ in range(calls)]
        assert [id for part in purged for id in part] == ids
        assert await queue.purge(TERMINAL, T0 + number, page) == []
        await stores.events.append([event("t", version, at=T0 - version % 7) for version in range(1, number + 1)])
        assert sum([await stores.events.trim(T0 + 1, page) for _ in range(calls)]) == number
        assert await stores.events.trim(T0 + 1, page) == 0
        await stores.results.put([outcome(id, ttl_ms=n) for n, id in enumerate(ids)], now=T0)
        assert sum([await stores.results.purge_expired(page, now=T0 + number) for _ in range(calls)]) == number
        assert await stores.results.purge_expired(page, now=T0 + number) == 0


@case("OQ-Q-1408")
@measured
async def large_backlogs(trial: Trial) -> None:
    """A large backlog of several queues drains in order; a claim from it takes about as long as from a small one."""
    number = _BACKLOG.get(trial.profile.name, 5000)
    limit = 25
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        await _fill(queue, [spec(f"t{n}", _QUEUES[n % 3], priority=n % 10) for n in range(number)])
        granted: list[int] = []
        seconds: list[float] = []
        for call in range(-(-number // limit)):
            begun = time.perf_counter()
            grants = await claim(queue, *_QUEUES, nonce=call, limit=limit, now=T0)
            seconds.append(time.perf_counter() - begun)
            await queue.complete([Completion(grant.id, grant.token) for grant in grants], now=T0)
            granted += [int(grant.id[1:]) for grant in grants]
        assert granted == sorted(range(number), key=lambda n: (-(n % 10), n))
        assert await claim(queue, *_QUEUES, nonce=10**6, now=T0) == []
    share = len(seconds) // 10
    first, last = min(seconds[1 : share + 1]), min(seconds[-share:])  # what a busy machine adds is not counted
    trial.evidence.update({"tasks": number, "first claims, ms": first * 1000, "last claims, ms": last * 1000})
    if first > _TIMES * last + _FLOOR:
        msg = f"With {number} tasks waiting a claim took {first * 1000:.2f} ms, with few {last * 1000:.2f} ms."
        raise LateError(msg)


@case("OQ-Q-1409")
async def young_entries(trial: Trial) -> None:
    """Any number of outbox entries that are too young, of before the clock stepped back, hold up no other task's."""
    number = _YOUNG.get(trial.profile.name, 21_000)
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        await _fill(queue, [spec(f"young{n}") for n in range(number)], now=T0 + 1000)
        await queue.enqueue([spec("old")], now=T0)
        assert [entry.task_id for entry in await queue.outbox(now=T0)] == ["old"]
        assert [entry.task_id for entry in await queue.outbox(1, now=T0 + 1000)] == ["young0"]
    trial.evidence["entries"] = number


_TIMES, _FLOOR = 5, 0.002
"""How much longer a claim may take, of what it takes with few tasks, and in seconds."""
