"""Family 13: clocks that differ or step back; the contract takes `now` as it comes and never compares two clocks."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import attrs

from omniq.models.config import Role
from omniq.models.record import Completion, Failure, Grant, Release, TaskBody, TaskFilter, Token
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TaskStatus, TaskView
from omniq.storage.schedules import Advance
from omniq.storage.task_queue import TaskQueue
from omniq_conformance.cases.specimens import LEASE, claim, event, outcome, spec, start
from omniq_conformance.invariants import chains, check_chain, check_fold
from omniq_conformance.outcomes import DivergenceError, VacuousError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.event import Event
    from omniq_conformance.space import Space, Stores

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_HOUR = 3_600_000
_SKEW = 30_000
_START = 10 * _HOUR


@attrs.define
class _Worker:
    """A worker with a clock of its own: the common time and what its clock is ahead.

    Attributes:
        latest: The token of each task that was granted last, to whomever.
        heeds: Whether it forgets a run that it has lost, rather than trying to complete it all the same.
    """

    queue: TaskQueue
    ahead: int
    lease_ms: int
    name: str
    latest: dict[str, Token]
    heeds: bool = True
    held: list[Grant] = attrs.field(factory=list)
    calls: int = 0

    async def act(self, time: int, rng: Random) -> tuple[list[str], list[str]]:
        """Renew, settle a few runs and claim a few; return what was granted, and what was done with success."""
        now = time + self.ahead
        tokens = [(grant.id, grant.token) for grant in self.held]
        replies = await self.queue.heartbeat(tokens, self.lease_ms, now=now)
        if self.heeds:
            self.held = [grant for grant, reply in zip(self.held, replies, strict=True) if reply == "ok"]
        ending = [grant for grant in self.held if rng.random() < 0.2]  # noqa: PLR2004 - so a run lasts five turns
        answers = await self.queue.complete([Completion(g.id, g.token) for g in ending], now=now)
        self.held = [grant for grant in self.held if grant not in ending]
        done = [grant for grant, answer in zip(ending, answers, strict=True) if answer == "ok"]
        assert [grant.token for grant in done] == [self.latest[grant.id] for grant in done], "a stale token was good"
        self.calls += 1
        granted = await self.queue.claim(["a"], 3, self.name, self.lease_ms, f"{self.name}{self.calls:015x}", now=now)
        self.held += granted
        self.latest |= {grant.id: grant.token for grant in granted}
        return [grant.id for grant in granted], [grant.id for grant in done]


async def _workers(space: Space, lease_ms: int, aheads: Sequence[int]) -> list[_Worker]:
    latest: dict[str, Token] = {}
    queues = [(await space.open()).task_queue for _ in aheads]
    return [_Worker(queues[n], ahead, lease_ms, str(n), latest) for n, ahead in enumerate(aheads)]


@case("OQ-Q-1301")
async def clocks_that_differ(trial: Trial) -> None:
    """Workers whose clocks differ by less than the lease leaves over never run a task twice, nor lose one."""
    rng = Random(trial.seed)  # noqa: S311 - reproducible choices
    async with trial.space() as space:
        # A lease is renewed every 10 s, so that of its 90 s at least 20 s are left to a clock 60 s ahead.
        workers = await _workers(space, 90_000, (-_SKEW, 0, _SKEW))
        ids = [f"t{number}" for number in range(40)]
        await workers[0].queue.enqueue([spec(id) for id in ids], now=_START - _SKEW)
        granted: list[str] = []
        done: list[str] = []
        for turn in range(200):
            for worker in rng.sample(workers, len(workers)):
                more, ended = await worker.act(_START + turn * 10_000, rng)
                granted += more
                done += ended
            if len(done) == len(ids):
                break
    assert sorted(granted) == sorted(done) == sorted(ids)
    trial.evidence["turns"] = turn


@case("OQ-Q-1302")
async def clocks_too_far_apart(trial: Trial) -> None:
    """Where clocks differ by more than the lease, runs are taken over, and still each task is completed once."""
    rng = Random(trial.seed)  # noqa: S311 - reproducible choices
    async with trial.space() as space:
        workers = await _workers(space, 20_000, (-_SKEW, _SKEW))
        for worker in workers:
            worker.heeds = False
        ids = [f"t{number}" for number in range(20)]
        await workers[0].queue.enqueue([spec(id, max_attempts=1000) for id in ids], now=_START - _SKEW)
        granted: list[str] = []
        done: list[str] = []
        for turn in range(1000):
            worker = workers[turn % 2]
            more, ended = await worker.act(_START + turn * 5_000, rng)
            granted += more
            done += ended
            if len(done) == len(ids):
                break
    assert sorted(done) == sorted(ids)
    trial.evidence.update(granted=len(granted), completed=len(done))
    if len(granted) == len(done):
        msg = "No run was ever taken over."
        raise VacuousError(msg)


@case("OQ-Q-1303")
async def leases_after_a_step_back(trial: Trial) -> None:
    """When the clock steps back an hour, no lease runs out, none becomes shorter, and every token is good."""
    async with trial.space() as space:
        queue, other = (await space.open()).task_queue, (await space.open()).task_queue
        ids = [f"t{number}" for number in range(20)]
        await queue.enqueue([spec(id) for id in ids], now=_START)
        grants = await claim(queue, limit=20, now=_START)
        back = _START - _HOUR
        assert await other.recover(["a"], now=back) == []
        assert await claim(other, nonce=2, limit=20, now=back) == []
        tokens = [(grant.id, grant.token) for grant in grants]
        assert await queue.heartbeat(tokens, LEASE, now=back) == ["ok"] * 20
        records = await queue.get(ids)
        assert {record.lease_until for record in records if record} == {_START + LEASE}
        assert await other.recover(["a"], now=_START + LEASE - 1) == []
        assert await queue.complete([Completion(*each) for each in tokens[:19]], now=back) == ["ok"] * 19
        assert await other.recover(["a"], now=_START + LEASE) == [(ids[19], TaskStatus.PENDING)]


@case("OQ-Q-1304", modes=BOTH)
async def a_life_backwards(trial: Trial) -> None:
    """Epochs, versions and the order of events only grow, even if each step of a life has an earlier time."""
    async with trial.space() as space:
        stores = await space.open()
        queue = stores.task_queue
        await _live_backwards(queue)
        joined = trial.mode is Mode.JOINED
        found = await (stores.events.read(limit=100) if joined else queue.outbox(100, now=_START))
        (record,) = await queue.get(["t"])
        assert record is not None
        chain = chains(found)["t", record.seq]
        assert [each.version for each in found] == list(range(1, record.version + 1)), found
        assert [each.at for each in found] == sorted((each.at for each in found), reverse=True)
        if faults := [*check_chain(chain), *check_fold(record, chain)]:
            raise DivergenceError("\n".join(faults))
        if not joined:
            await _check_ages(queue, found)


async def _live_backwards(queue: TaskQueue) -> None:
    times = iter(range(_START, 0, -_HOUR))
    now = next(times)
    await queue.enqueue([spec("t", max_attempts=9)], now=now)
    (grant,) = await claim(queue, nonce=1, now=now)
    now = next(times)
    assert await queue.fail([Failure("t", grant.token, "e", now)], now=now) == ["PENDING"]
    (grant,) = await claim(queue, nonce=2, now=now)
    now = next(times)
    assert await queue.release([Release("t", grant.token, now)], now=now) == ["PENDING"]
    (grant,) = await claim(queue, nonce=3, now=now)
    assert await queue.cancel(["t"], now=next(times)) == ["requested"]
    assert await queue.fail([Failure("t", grant.token, "e")], now=next(times)) == ["CANCELLED"]
    assert await queue.redrive(["t"], now=next(times)) == ["ok"]


async def _check_ages(queue: TaskQueue, entries: Sequence[Event]) -> None:
    """An entry that is old enough waits for an earlier one of its task that is not."""
    oldest = min(entry.at for entry in entries)
    assert await queue.outbox(now=oldest + 1) == []
    assert await queue.outbox(now=_START, min_age_ms=_START - oldest) == []
    assert [entry.version for entry in await queue.outbox(now=_START)] == [entry.version for entry in entries]


@case("OQ-Q-1305")
async def waiting_after_a_step_back(trial: Trial) -> None:
    """What a clock made ready is scheduled for one that is behind it, and is claimed when that has come so far."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        await queue.enqueue([spec("later")], now=_START)
        await queue.enqueue([spec("earlier")], now=_START - _HOUR)
        await queue.enqueue([spec("stale", "b")], now=_START - _HOUR)
        (grant,) = await claim(queue, "b", now=_START - _HOUR)
        assert await queue.recover(["b"], now=_START) == [("stale", TaskStatus.PENDING)]
        before = _START - 1
        scheduled = await queue.list(TaskFilter(states=frozenset({TaskView.SCHEDULED})), now=before)
        assert [record.id for record in scheduled] == ["later", "stale"]
        assert [each.id for each in await claim(queue, "a", "b", now=before)] == ["earlier"]
        assert await queue.complete([Completion("stale", grant.token)], now=before) == ["already"]
        assert await queue.next_at(["b"]) == _START
        assert [each.id for each in await claim(queue, "a", "b", nonce=2, now=_START)] == ["later", "stale"]


@case("OQ-S-1301", modes=BOTH)
async def schedulers_that_differ(trial: Trial) -> None:
    """Schedulers whose clocks differ or step back fire every time of a schedule once, and none before it is due."""
    rng = Random(trial.seed)  # noqa: S311 - reproducible choices
    interval = 60_000
    made = Schedule(
        id="s", kind=ScheduleKind.INTERVAL, body=TaskBody(func="f"), interval_ms=interval, next_run=_START, queue="a"
    )
    fired: list[int] = []
    idle = 0
    async with trial.space() as space:
        schedulers = [(await space.open(), ahead) for ahead in (-_SKEW, 0, _SKEW)]
        await schedulers[0][0].schedules.put(made, now=_START)
        for turn in range(120):
            stepped = _HOUR if turn in range(40, 60) else 0
            stores, ahead = rng.choice(schedulers)
            now = _START + turn * 10_000 + ahead - stepped
            times = await _fire(stores, now, interval)
            assert all(time <= now for time in times)
            assert not stepped or not times, f"fired {times} at {now}, which is an hour ago"
            idle += bool(stepped)
            fired += times
        (schedule,) = await schedulers[0][0].schedules.get(["s"])
        tasks = await schedulers[0][0].task_queue.list(limit=1000, now=_START)
    assert schedule is not None
    assert fired == list(range(_START, schedule.next_run or 0, interval))
    assert [record.id for record in tasks] == [f"s@{time}" for time in fired]
    trial.evidence.update(fired=len(fired), idle=idle)


async def _fire(stores: Stores, now: int, interval: int) -> list[int]:
    """Do what a scheduler does, with another that was as fast: fire everything that is due, one after the other."""
    fired: list[int] = []
    while due := await stores.schedules.due(now=now):
        (schedule,) = due
        at = schedule.next_run or 0
        step = Advance(id="s", expected_version=schedule.version, next_run=at + interval, last_run=at, fired=1)
        task = spec(f"s@{at}", pinned=True)
        if Role.SCHEDULE_STORAGE in stores.joined:
            assert await stores.task_queue.fire([task], step, now=now) is not None
            assert await stores.task_queue.fire([task], step, now=now) is None
        else:
            assert [answer.created for answer in await stores.task_queue.enqueue([task], now=now)] == [True]
            assert [answer.created for answer in await stores.task_queue.enqueue([task], now=now)] == [False]
            assert await stores.schedules.advance([step, step]) == [True, False]
        fired.append(at)
    return fired


@case("OQ-R-1301")
async def results_and_clocks(trial: Trial) -> None:
    """A result is kept by the clock that is asked, and which of two is the later one is not a matter of time."""
    async with trial.space() as space:
        results, other = (await space.open()).results, (await space.open()).results
        await results.put([outcome("t", epoch=2, ttl_ms=_SKEW)], now=_START)
        assert [record is not None for record in await other.get(["t"], now=_START + _SKEW - 1)] == [True]
        assert await other.get(["t"], now=_START + _SKEW) == [None]
        assert [record is not None for record in await results.get(["t"], now=_START - _HOUR)] == [True]
        assert await other.put([outcome("t", epoch=1)], now=_START + _HOUR) == [False]
        assert await results.put([outcome("t", epoch=3, ttl_ms=_SKEW)], now=_START - _HOUR) == [True]
        (stored,) = await other.get(["t"], now=_START - _HOUR)
        assert stored is not None
        assert (stored.stored_at, stored.expires_at) == (_START - _HOUR, _START - _HOUR + _SKEW)
        assert await other.get(["t"], now=_START) == [None]
        assert await results.purge_expired(now=_START - _HOUR) == 0
        assert await results.purge_expired(now=_START) == 1


@case("OQ-E-1301")
async def events_and_clocks(trial: Trial) -> None:
    """Events are in the order of their appending whatever their times are, and are trimmed by their times."""
    times = [_START, _START - _HOUR, _START + _SKEW, _START - _SKEW, _START + 1]
    async with trial.space() as space:
        events, other = (await space.open()).events, (await space.open()).events
        for version, at in enumerate(times, 1):
            await (events if version % 2 else other).append([event("t", version, at=at)])
        found = await other.read()
        assert [each.at for each in found] == times
        after = await events.read(after=found[1].position)
        assert [each.version for each in after] == [3, 4, 5]
        assert await other.trim(_START) == 2  # noqa: PLR2004 - the second and the fourth
        assert [each.version for each in await events.read()] == [1, 3, 5]
        assert [each.version for each in await events.read(after=found[1].position)] == [3, 5]


@case("OQ-Q-1306")
async def eligible_at_once(trial: Trial) -> None:
    """By the store's own clock, a task without an eta may be claimed through any handle once its enqueue returned."""
    async with trial.space() as space:
        producer, consumer = (await space.open()).task_queue, (await space.open()).task_queue
        async with consumer.sibling() as sibling:
            for number in range(20):
                assert await producer.enqueue([spec(f"t{number}")]) == [(f"t{number}", True)]
                found = await claim((consumer, sibling)[number % 2], nonce=number)
                assert [grant.id for grant in found] == [f"t{number}"]


@case("OQ-X-1301")
async def the_clock_of_the_store(trial: Trial) -> None:
    """Handles and roles agree on the store's clock within its declared error, and it stamps what is written."""
    async with trial.space() as space:
        one, other = await space.open(), await space.open()
        error = one.task_queue.capabilities.clock_error_ms
        trial.evidence["clock error, ms"] = error
        for clock in (one.task_queue, other.task_queue, one.schedules, other.schedules):
            before, between, after = await one.task_queue.time(), await clock.time(), await one.task_queue.time()
            assert before <= after, f"the clock went back from {before} to {after}"
            assert before - error <= between <= after + error, (before, between, after)
        before = await other.task_queue.time()
        stamps = await _stamps(one)
        after = await other.task_queue.time()
        wrong = {name: stamp for name, stamp in stamps.items() if not before - error <= (stamp or 0) <= after + error}
        if wrong:
            msg = f"Between {before} and {after} by the store's clock, these times were written: {wrong}."
            raise DivergenceError(msg)
        assert await one.task_queue.time() >= max(stamp or 0 for stamp in stamps.values())


async def _stamps(stores: Stores) -> dict[str, int | None]:
    """Let the store write every kind of time by its own clock."""
    queue = stores.task_queue
    grant = await start(queue, "t")
    await queue.complete([Completion("t", grant.token)])
    await stores.results.put([outcome("t")])
    made = Schedule(id="s", kind=ScheduleKind.ONCE, body=TaskBody(func="f"), next_run=0)
    schedule = await stores.schedules.put(made)
    (record,) = await queue.get(["t"])
    (result,) = await stores.results.get(["t"])
    assert record is not None
    assert result is not None
    assert schedule is not None
    written = {f"event {entry.type}": entry.at for entry in await queue.outbox()}
    return {
        **written,
        "enqueued_at": record.enqueued_at,
        "ready_at": record.ready_at,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "lease": grant.lease_until - LEASE,
        "stored_at": result.stored_at,
        "created_at": schedule.created_at,
    }
