"""Family 07: every deadline one millisecond before, at, and one after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.record import Failure, Release, TaskFilter
from omniq.models.status import TaskStatus, TaskView
from omniq_conformance.cases.specimens import T0, claim, outcome, spec, start
from omniq_conformance.registry import Trial, case

if TYPE_CHECKING:
    from omniq.storage.task_queue import TaskQueue

__all__: list[str] = []

AROUND = (-1, 0, 1)


async def _views(queue: TaskQueue, now: int) -> list[str]:
    """Return the views and the stats of the only task, which have to agree."""
    found = []
    (stats,) = await queue.queues(now=now)
    counts = {
        TaskView.SCHEDULED: stats.scheduled,
        TaskView.READY: stats.ready,
        TaskView.EXPIRED: stats.expired,
        TaskView.STALE: stats.stale,
    }
    for view in TaskView:
        filter = TaskFilter(states=frozenset({view}))
        number = await queue.count(filter, now=now)
        assert number == len(await queue.list(filter, now=now)) == counts[view]
        found += [view.value] * number
    return found


@case("OQ-Q-0701")
async def eta(trial: Trial) -> None:
    """A task may be claimed from its eta on, and is `scheduled` until then."""
    for delta in AROUND:
        async with trial.space() as space:
            queue = (await space.open()).task_queue
            await queue.enqueue([spec("t", eta=T0 + 100)], now=T0)
            assert await _views(queue, T0 + 100 + delta) == ["SCHEDULED" if delta < 0 else "READY"]
            assert [g.id for g in await claim(queue, now=T0 + 100 + delta)] == ([] if delta < 0 else ["t"])


@case("OQ-Q-0702")
async def expiry(trial: Trial) -> None:
    """A task may be claimed until just before its expires_at, and is seen as `expired` from then on."""
    for delta in AROUND:
        async with trial.space() as space:
            queue = (await space.open()).task_queue
            await queue.enqueue([spec("t", expires_at=T0 + 100)], now=T0)
            now = T0 + 100 + delta
            assert await _views(queue, now) == ["READY" if delta < 0 else "EXPIRED"]
            assert [g.id for g in await claim(queue, now=now)] == (["t"] if delta < 0 else [])
            (record,) = await queue.get(["t"])
            assert record is not None
            if delta >= 0:
                assert (record.state, record.error, record.finished_at) == (TaskStatus.FAILED, "expired", now)


@case("OQ-Q-0703")
async def lease(trial: Trial) -> None:
    """A lease holds until just before lease_until; from then on the run is `stale` and is taken over."""
    for delta in AROUND:
        async with trial.space() as space:
            queue = (await space.open()).task_queue
            grant = await start(queue, "t", now=T0)
            now = grant.lease_until + delta
            assert await _views(queue, now) == ([] if delta < 0 else ["STALE"])
            assert await queue.recover(["a"], now=now) == ([] if delta < 0 else [("t", TaskStatus.PENDING)])


@case("OQ-Q-0704")
async def delays(trial: Trial) -> None:
    """A retry and a release wait exactly as long as was asked."""
    for delta in AROUND:
        async with trial.space() as space:
            queue = (await space.open()).task_queue
            retried, released = await start(queue, "t", now=T0), await start(queue, "u", now=T0)
            assert await queue.fail([Failure("t", retried.token, "e", T0 + 100)], now=T0 + 1) == ["PENDING"]
            assert await queue.release([Release("u", released.token, T0 + 100)], now=T0 + 1) == ["PENDING"]
            assert await queue.next_at(["a"]) == T0 + 100
            granted = await claim(queue, nonce=9, now=T0 + 100 + delta)
            assert [(g.id, g.attempt) for g in granted] == ([] if delta < 0 else [("t", 2), ("u", 1)])


@case("OQ-Q-0705")
async def retention(trial: Trial) -> None:
    """Purging removes what ended before a time, not at it."""
    for delta in AROUND:
        async with trial.space() as space:
            queue = (await space.open()).task_queue
            await queue.enqueue([spec("t"), spec("p", pinned=True)], now=T0)
            await queue.cancel(["t", "p"], now=T0 + 100)
            await queue.outbox_ack(await queue.outbox(now=T0 + 100))
            ended = frozenset({TaskStatus.CANCELLED, TaskStatus.RUNNING})
            assert await queue.purge(ended, T0 + 100 + delta, pinned_before=0) == (["t"] if delta > 0 else [])
            assert await queue.purge(ended, 0, pinned_before=T0 + 100 + delta) == (["p"] if delta > 0 else [])


@case("OQ-R-0701")
async def time_to_live(trial: Trial) -> None:
    """A result is there until just before its time to live is over; storing it again starts the time anew."""
    async with trial.space() as space:
        results = (await space.open()).results
        await results.put([outcome("t", ttl_ms=100), outcome("keep"), outcome("none", ttl_ms=0)], now=T0)
        await results.put([outcome("t", ttl_ms=100)], now=T0 + 50)
        await results.put([outcome("t", epoch=0, ttl_ms=1000)], now=T0 + 60)
        for delta in AROUND:
            now = T0 + 150 + delta
            there = ["keep", "t"] if delta < 0 else ["keep"]
            assert [r.id for r in await results.list(now=now)] == there
            assert [r.id for r in await results.get(["keep", "t", "none"], now=now) if r] == there
        assert await results.put([outcome("t", epoch=0)], now=T0 + 151) == [False]
        assert await results.purge_expired(now=T0 + 149) == 1
        assert await results.purge_expired(now=T0 + 150) == 1
        assert await results.put([outcome("t", epoch=0)], now=T0 + 151) == [True]
        assert await results.delete(["keep", "none"]) == [True, False]
