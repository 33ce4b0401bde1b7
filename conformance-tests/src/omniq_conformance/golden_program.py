"""The program that fills a golden store: everything that a store can have in it, at fixed times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.event import Event, EventType
from omniq.models.record import Completion, Failure, Release, TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.schedules import Advance

if TYPE_CHECKING:
    from omniq.models.record import Grant
    from omniq.storage.results import ResultStorage
    from omniq.storage.schedules import ScheduleStorage
    from omniq.storage.task_queue import TaskQueue
    from omniq_conformance.space import Stores

__all__ = ["NOW", "write_everything"]

T0 = 1_700_000_000_000
NOW = T0 + 600_000
"""The time at which the store is read."""

_MINUTE, _HOUR, _DAY, _YEAR = 60_000, 3_600_000, 86_400_000, 31_536_000_000
_QUEUE = "caf\u00e9/50%_[a] *"
_BINARY = bytes(range(256))
_FIRED = Event(task_id="sched:ticking", seq=0, version=T0 + 2, type=EventType.SCHEDULE_FIRED, at=T0 + _HOUR)
_PAUSED = Event(task_id="sched:asleep", seq=0, version=T0 + 4, type=EventType.SCHEDULE_PAUSED, at=T0 + 4)


async def write_everything(stores: Stores) -> None:
    """Fill an empty namespace; what needs a role that the backend does not offer is left out."""
    queue = stores.task_queue
    await _ended(queue)
    await _relay(stores)
    if stores.opened.events is not None:
        await stores.opened.events.trim(T0 + 2)
    await queue.purge(frozenset({TaskStatus.COMPLETED}), T0 + 3, limit=1)
    await _waiting(queue)
    await _running(queue)
    await _relay(stores, 12)
    await queue.pause(["paused", "paused and empty"])
    if stores.opened.results is not None:
        await _results(stores.opened.results)
    if stores.opened.schedules is not None:
        await _schedules(stores.opened.schedules)
    if stores.opened.events is not None:
        await stores.opened.events.append([_FIRED, _PAUSED])


def _spec(id: str, **fields: object) -> TaskSpec:
    body = TaskBody(func="shop.orders.ship", args=b'["\xc3\xa9", 1]', kwargs=b'{"fast": true}')
    return TaskSpec(**{"id": id, "body": body, "queue": "mail", **fields})  # type: ignore[arg-type]


async def _claim(queue: TaskQueue, name: str, limit: int, now: int, lease_ms: int = _HOUR) -> list[Grant]:
    return await queue.claim([name], limit, f"worker of {name}", lease_ms, f"{now:016x}", now=now)


async def _ended(queue: TaskQueue) -> None:
    body = TaskBody(
        func="bin\u00e4r",
        args=_BINARY,
        kwargs=b"x" * 5_000,
        codec="msgpack",
        headers={"traceparent": "00-1", "\u2028": "\U0001f600"},
        timeout_ms=1500,
        result_ttl_ms=_DAY,
    )
    names = ("purged", "completed", "failed", "requested", "late", "redriven")
    await queue.enqueue([_spec(name, queue=_QUEUE) for name in names], now=T0)
    await queue.enqueue([_spec("binary", body=body, queue=_QUEUE, priority=9, pinned=True)], now=T0 + 1)
    await queue.enqueue([_spec("cancelled"), _spec("expired", expires_at=T0 + 2)], now=T0 + 1)
    grants = {grant.id: grant for grant in await _claim(queue, _QUEUE, 10, T0 + 2)}
    done = ["purged", "binary", "completed"]
    await queue.complete([Completion(id, grants[id].token) for id in done], now=T0 + 2)
    await queue.cancel(["cancelled", "requested"], now=T0 + 3)
    await queue.recover(["mail"], now=T0 + 3)
    failed = [Failure(id, grants[id].token, "ValueError: n\u00f6") for id in ("failed", "requested", "redriven")]
    await queue.fail(failed, now=T0 + 4)
    await queue.redrive(["redriven"], now=T0 + 5)
    await queue.complete([Completion("late", grants["late"].token)], now=T0 + _MINUTE)


async def _waiting(queue: TaskQueue) -> None:
    at = T0 + 2 * _MINUTE
    specs = [
        _spec("ready"),
        _spec("urgent", priority=9, max_attempts=1),
        _spec("scheduled", eta=T0 + _YEAR),
        _spec("expiring", expires_at=T0 + _DAY),
        _spec("expired but not swept", expires_at=at + 1),
        _spec("unique", unique_key="only \u212a", pinned=True),
        _spec("parked", queue="paused", unique_key="only \u212a"),
        _spec("hourly", queue="series", interval_ms=_HOUR),
        _spec("once an hour", queue="series 2", interval_ms=_HOUR, unique_key="series"),
    ]
    await queue.enqueue(specs, now=at)
    for name in ("series", "series 2"):
        (grant,) = await _claim(queue, name, 1, at + 1)
        await queue.complete([Completion(grant.id, grant.token)], now=at + 2)


async def _running(queue: TaskQueue) -> None:
    at = T0 + 3 * _MINUTE
    names = ("running", "to be cancelled", "retrying", "released", "stale", "stale for the last time")
    specs = [_spec(name, queue="work", max_attempts=1 if name.endswith("time") else 4) for name in names]
    await queue.enqueue(specs, now=at)
    grants = {grant.id: grant for grant in await _claim(queue, "work", 4, at + 1)}
    await _claim(queue, "work", 2, at + 2, lease_ms=_MINUTE)
    await queue.cancel(["to be cancelled"], now=at + 3)
    await queue.fail([Failure("retrying", grants["retrying"].token, "TimeoutError", T0 + _DAY)], now=at + 4)
    await queue.release([Release("released", grants["released"].token, at + 9)], now=at + 5)
    await queue.heartbeat([("running", grants["running"].token)], _HOUR, now=at + 6)


async def _relay(stores: Stores, limit: int = 1000) -> None:
    """Hand the oldest entries of the outbox to the events, as a worker does."""
    if stores.opened.events is not None:
        entries = await stores.task_queue.outbox(limit, now=NOW)
        await stores.opened.events.append(entries)
        await stores.task_queue.outbox_ack(entries)


async def _results(results: ResultStorage) -> None:
    completed, failed = TaskStatus.COMPLETED, TaskStatus.FAILED
    error = '{"type":"ValueError","message":"n\u00f6"}'
    records = [
        ResultRecord("completed", 2, 1, completed, b'{"\xc3\xa9": null}', ttl_ms=_YEAR),
        ResultRecord("binary", 7, 1, completed, _BINARY, "msgpack", ttl_ms=_DAY),
        ResultRecord("empty", 99, 3, completed, b""),
        ResultRecord("without a value", 98, 1, completed),
        ResultRecord("failed", 3, 1, failed, error=error),
        ResultRecord("cancelled", 8, 1, TaskStatus.CANCELLED, error=error),
        ResultRecord("run out", 97, 1, completed, b"1", ttl_ms=1),
    ]
    assert set(TERMINAL) == {record.status for record in records}
    await results.put(records, now=T0 + _MINUTE)


async def _schedules(schedules: ScheduleStorage) -> None:
    body = TaskBody(func="shop.report", args=_BINARY, codec="msgpack", headers={"a": "b"}, result_ttl_ms=_DAY)
    cron = Schedule(
        id="nightly \u00e9",
        kind=ScheduleKind.CRON,
        body=body,
        cron="30 2 * * 1-5",
        zone="Europe/Berlin",
        queue=_QUEUE,
        priority=3,
        max_attempts=2,
        expires_in_ms=_HOUR,
        misfire=MisfirePolicy.ALL,
        grace_ms=_MINUTE,
        jitter_ms=500,
        max_runs=100,
        next_run=T0 + _DAY,
    )
    plain = TaskBody(func="shop.tick")
    interval = Schedule(id="ticking", kind=ScheduleKind.INTERVAL, body=plain, interval_ms=_HOUR, next_run=T0 + _HOUR)
    once = Schedule(id="once", kind=ScheduleKind.ONCE, body=plain, next_run=T0 + 5, misfire=MisfirePolicy.SKIP)
    asleep = Schedule(id="asleep", kind=ScheduleKind.INTERVAL, body=plain, interval_ms=1, next_run=T0)
    for number, schedule in enumerate((cron, interval, once, asleep)):
        await schedules.put(schedule, now=T0 + number)
    await schedules.pause(["asleep"])
    fired = Advance(id="ticking", expected_version=T0 + 1, next_run=T0 + 2 * _HOUR, last_run=T0 + _HOUR, fired=1)
    ended = Advance(id="once", expected_version=T0 + 2, next_run=None, last_run=T0 + 5, fired=1)
    await schedules.advance([fired, ended])
