"""Calls that are cancelled halfway: how each is prepared, what repeating it answers, and what has to be there then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.record import Completion, Enqueued, Failure, Release, TaskBody, TaskFilter
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.schedules import Advance
from omniq_conformance.cases.specimens import T0, claim, event, outcome, spec
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.space import Mode, Stores

if TYPE_CHECKING:
    from omniq.models.event import Event
    from omniq.models.record import Grant, TaskRecord
    from omniq.models.result import ResultRecord
    from omniq.storage.task_queue import TaskQueue

__all__ = ["PLANS", "Plan", "Prepare", "World"]

_EARLY = 1000
"""A time before everything else, so that what ended then is all that is purged."""

_P, _R, _C = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED
_F, _X = TaskStatus.FAILED, TaskStatus.CANCELLED


@attrs.frozen
class World:
    """The handle whose calls are cancelled."""

    stores: Stores
    mode: Mode

    @property
    def queue(self) -> TaskQueue:
        """The task queue."""
        return self.stores.task_queue

    async def records(self) -> list[TaskRecord]:
        """Return every record."""
        return await self.queue.list(limit=10**6, now=T0)

    async def transitions(self) -> Sequence[Event]:
        """Return every transition, in order."""
        if self.mode is Mode.JOINED:
            return await self.stores.events.read(limit=10**6)
        return await self.queue.outbox(10**6, now=10 * T0)

    def result(self, id: str, seq: int, epoch: int, **fields: Any) -> ResultRecord | None:
        """Return what a worker reports; None where it goes to the results instead."""
        return outcome(id, seq=seq, epoch=epoch, **fields) if self.mode is Mode.JOINED else None

    async def check(self, id: str, **fields: object) -> None:
        """Check fields of a record.

        Raises:
            DivergenceError: One has another value.
        """
        (record,) = await self.queue.get([id])
        for name, value in fields.items():
            if getattr(record, name, None) != value:
                msg = f"Task {id!r} has {name}={getattr(record, name, None)!r} instead of {value!r}: {record}"
                raise DivergenceError(msg)


@attrs.frozen(kw_only=True)
class Plan:
    """A call that is about to be cancelled.

    Attributes:
        call: Makes it, with the same arguments each time.
        first: What it answers if it was not applied before.
        again: What it answers if it was.
        check: Looks at the store after it was repeated.
    """

    call: Callable[[], Awaitable[object]]
    first: object
    again: object
    check: Callable[[], Awaitable[object]]


Prepare = Callable[[World, str], Awaitable[Plan]]


def _task(world: World, id: str, **fields: object) -> Callable[[], Awaitable[object]]:
    return lambda: world.check(id, **fields)


async def _started(world: World, id: str, **fields: Any) -> Grant:
    """Start a task in a queue of its own."""
    await world.queue.enqueue([spec(id, id, **fields)], now=T0)
    (grant,) = await claim(world.queue, id, now=T0)
    return grant


async def _enqueue(world: World, id: str) -> Plan:
    def call() -> Awaitable[object]:
        return world.queue.enqueue([spec(id, id, unique_key=id)], now=T0)

    first, again = ([Enqueued(id, created=created)] for created in (True, False))
    return Plan(call=call, first=first, again=again, check=_task(world, id, state=_P, version=1))


async def _claim(world: World, id: str) -> Plan:
    """A claim is not repeated: who does not know its answer asks what is held."""
    await world.queue.enqueue([spec(id, id)], now=T0)
    asked: list[str] = []

    async def call() -> object:
        if asked:
            held = await world.queue.held("worker", f"{1:016x}")
            if mine := [grant.id for grant in held if grant.queue == id]:
                return "held", mine
        asked.append(id)
        return "granted", [grant.id for grant in await claim(world.queue, id, limit=3, now=T0)]

    check = _task(world, id, state=_R, version=2, attempts=1, epoch=1)
    return Plan(call=call, first=("granted", [id]), again=("held", [id]), check=check)


async def _heartbeat(world: World, id: str) -> Plan:
    grant = await _started(world, id)

    def call() -> Awaitable[object]:
        return world.queue.heartbeat([(id, grant.token)], 99_000, now=T0)

    return Plan(call=call, first=["ok"], again=["ok"], check=_task(world, id, version=2, lease_until=T0 + 99_000))


async def _complete(world: World, id: str) -> Plan:
    grant = await _started(world, id, unique_key=id)
    result = world.result(id, grant.token.seq, grant.token.epoch, value=id.encode())

    async def check() -> None:
        await world.check(id, state=_C, version=3, finished_at=T0 + 1)
        if result is not None:
            assert await world.stores.results.get([id], now=T0 + 1) == [attrs.evolve(result, stored_at=T0 + 1)]

    def call() -> Awaitable[object]:
        return world.queue.complete([Completion(id, grant.token, result)], now=T0 + 1)

    return Plan(call=call, first=["ok"], again=["already"], check=check)


async def _complete_series(world: World, id: str) -> Plan:
    grant = await _started(world, id, interval_ms=100)

    async def check() -> None:
        await world.check(id, state=_C, version=3)
        series = await world.queue.list(TaskFilter(series_id=id), now=T0)
        assert [record.id for record in series] == [id, f"{id}@{T0 + 100}"]

    def call() -> Awaitable[object]:
        return world.queue.complete([Completion(id, grant.token)], now=T0 + 1)

    return Plan(call=call, first=["ok"], again=["already"], check=check)


async def _retry(world: World, id: str) -> Plan:
    grant = await _started(world, id)

    def call() -> Awaitable[object]:
        return world.queue.fail([Failure(id, grant.token, "e", T0 + 9)], now=T0)

    check = _task(world, id, state=_P, version=3, attempts=1, ready_at=T0 + 9)
    return Plan(call=call, first=["PENDING"], again=["already"], check=check)


async def _fail(world: World, id: str) -> Plan:
    grant = await _started(world, id)

    def call() -> Awaitable[object]:
        return world.queue.fail([Failure(id, grant.token, "e")], now=T0)

    check = _task(world, id, state=_F, version=3, error="e")
    return Plan(call=call, first=["FAILED"], again=["already"], check=check)


async def _release(world: World, id: str) -> Plan:
    grant = await _started(world, id)

    def call() -> Awaitable[object]:
        return world.queue.release([Release(id, grant.token, T0)], now=T0)

    check = _task(world, id, state=_P, version=3, attempts=0)
    return Plan(call=call, first=["PENDING"], again=["already"], check=check)


async def _recover(world: World, id: str) -> Plan:
    grant = await _started(world, id)

    def call() -> Awaitable[object]:
        return world.queue.recover([id], now=grant.lease_until)

    check = _task(world, id, state=_P, version=3, attempts=1)
    return Plan(call=call, first=[(id, _P)], again=[], check=check)


async def _cancel_waiting(world: World, id: str) -> Plan:
    await world.queue.enqueue([spec(id, id)], now=T0)

    def call() -> Awaitable[object]:
        return world.queue.cancel([id], now=T0)

    check = _task(world, id, state=_X, version=2, epoch=1)
    return Plan(call=call, first=["cancelled"], again=["finished"], check=check)


async def _cancel_running(world: World, id: str) -> Plan:
    await _started(world, id)

    def call() -> Awaitable[object]:
        return world.queue.cancel([id], now=T0)

    check = _task(world, id, state=_R, version=3, cancel_requested=True)
    return Plan(call=call, first=["requested"], again=["requested"], check=check)


async def _redrive(world: World, id: str) -> Plan:
    await world.queue.enqueue([spec(id, id)], now=T0)
    await world.queue.cancel([id], now=T0)

    def call() -> Awaitable[object]:
        return world.queue.redrive([id], now=T0)

    return Plan(call=call, first=["ok"], again=["invalid"], check=_task(world, id, state=_P, version=3, epoch=2))


async def _pause(world: World, id: str) -> Plan:
    async def check() -> None:
        assert [stats.name for stats in await world.queue.queues(now=T0) if stats.paused] == [id]
        await world.queue.resume([id])

    return Plan(call=lambda: world.queue.pause([id]), first=None, again=None, check=check)


async def _resume(world: World, id: str) -> Plan:
    await world.queue.pause([id])

    async def check() -> None:
        assert [stats.name for stats in await world.queue.queues(now=T0) if stats.paused] == []

    return Plan(call=lambda: world.queue.resume([id]), first=None, again=None, check=check)


async def _purge(world: World, id: str) -> Plan:
    await world.queue.enqueue([spec(id, id)], now=_EARLY)
    await world.queue.cancel([id], now=_EARLY)
    if world.mode is Mode.SEPARATE:
        entries = [entry for entry in await world.queue.outbox(10**6, now=_EARLY) if entry.task_id == id]
        await world.queue.outbox_ack(entries)

    async def check() -> None:
        assert await world.queue.get([id]) == [None]

    def call() -> Awaitable[object]:
        return world.queue.purge(TERMINAL, _EARLY + 1)

    return Plan(call=call, first=[id], again=[], check=check)


async def _outbox_ack(world: World, id: str) -> Plan:
    await world.queue.enqueue([spec(id, id)], now=_EARLY)
    entries = await world.queue.outbox(10**6, now=_EARLY)

    async def check() -> None:
        assert await world.queue.outbox(10**6, now=_EARLY) == []
        await world.queue.cancel([id], now=_EARLY)
        await world.queue.outbox_ack(await world.queue.outbox(10**6, now=_EARLY))
        assert await world.queue.purge(TERMINAL, _EARLY + 1) == [id]

    return Plan(call=lambda: world.queue.outbox_ack(entries), first=None, again=None, check=check)


async def _fire(world: World, id: str) -> Plan:
    version = await _put(world, id)
    step = Advance(id=id, expected_version=version, next_run=None, last_run=T0, fired=1)

    async def check() -> None:
        await world.check(f"{id} fired", state=_P, version=1)
        (schedule,) = await world.stores.schedules.get([id])
        assert schedule is not None
        assert (schedule.version, schedule.runs, schedule.next_run) == (version + 1, 1, None)

    def call() -> Awaitable[object]:
        return world.queue.fire([spec(f"{id} fired", id)], step, now=T0)

    return Plan(call=call, first=[Enqueued(f"{id} fired", created=True)], again=None, check=check)


async def _reads(world: World, id: str) -> Plan:
    grant = await _started(world, id)

    async def call() -> object:
        (record,) = await world.queue.get([id])
        (listed,) = await world.queue.list(TaskFilter(queues=frozenset({id})), now=T0)
        assert record == listed
        (held,) = [each for each in await world.queue.held("worker", grant.token.nonce) if each.id == id]
        count = await world.queue.count(TaskFilter(ids=frozenset({id})), now=T0)
        return held, count, await world.queue.next_at([id])

    answer = grant, 1, grant.lease_until
    return Plan(call=call, first=answer, again=answer, check=_task(world, id, state=_R, version=2))


async def _put_result(world: World, id: str) -> Plan:
    results, record = world.stores.results, outcome(id, value=id.encode())

    async def check() -> None:
        assert await results.get([id], now=T0) == [attrs.evolve(record, stored_at=T0)]

    return Plan(call=lambda: results.put([record], now=T0), first=[True], again=[True], check=check)


async def _delete_result(world: World, id: str) -> Plan:
    results = world.stores.results
    await results.put([outcome(id)], now=T0)

    async def check() -> None:
        assert await results.get([id], now=T0) == [None]

    return Plan(call=lambda: results.delete([id]), first=[True], again=[False], check=check)


async def _purge_results(world: World, id: str) -> Plan:
    results = world.stores.results
    await results.put([outcome(id, ttl_ms=1), outcome("kept")], now=T0)

    async def check() -> None:
        assert [record.id for record in await results.get([id, "kept"], now=0) if record] == ["kept"]

    return Plan(call=lambda: results.purge_expired(now=T0 + 1), first=1, again=0, check=check)


async def _append(world: World, id: str) -> Plan:
    events = [event(f"sched:{id}", version, seq=0) for version in (1, 2)]

    async def check() -> None:
        found = await world.stores.events.read(limit=10**6)
        assert [each.version for each in found if each.task_id == f"sched:{id}"] == [1, 2]

    return Plan(call=lambda: world.stores.events.append(events), first=2, again=0, check=check)


async def _trim(world: World, id: str) -> Plan:
    await world.stores.events.append([event(f"sched:{id}", version, seq=0, at=_EARLY - 1) for version in (1, 2)])

    async def check() -> None:
        assert [each for each in await world.stores.events.read(limit=10**6) if each.task_id == f"sched:{id}"] == []

    return Plan(call=lambda: world.stores.events.trim(_EARLY), first=2, again=0, check=check)


def _schedule(id: str) -> Schedule:
    return Schedule(id=id, kind=ScheduleKind.INTERVAL, body=TaskBody(func="f"), interval_ms=5, next_run=T0)


async def _put(world: World, id: str) -> int:
    stored = await world.stores.schedules.put(_schedule(id), now=T0)
    assert stored is not None
    return stored.version


def _scheduled(world: World, id: str, **fields: object) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        (schedule,) = await world.stores.schedules.get([id])
        assert {name: getattr(schedule, name, None) for name in fields} == fields

    return check


async def _put_schedule(world: World, id: str) -> Plan:
    stored = attrs.evolve(_schedule(id), version=T0, created_at=T0)

    def call() -> Awaitable[object]:
        return world.stores.schedules.put(_schedule(id), expected_version=0, now=T0)

    return Plan(call=call, first=stored, again=None, check=_scheduled(world, id, version=T0))


async def _advance(world: World, id: str) -> Plan:
    step = Advance(id=id, expected_version=await _put(world, id), next_run=T0 + 5, last_run=T0, fired=1)
    check = _scheduled(world, id, version=step.expected_version + 1, runs=1, next_run=T0 + 5)
    return Plan(call=lambda: world.stores.schedules.advance([step]), first=[True], again=[False], check=check)


async def _pause_schedule(world: World, id: str) -> Plan:
    version = await _put(world, id)
    changed = attrs.evolve(_schedule(id), version=version + 1, created_at=T0, paused=True)
    check = _scheduled(world, id, version=version + 1, paused=True)
    return Plan(call=lambda: world.stores.schedules.pause([id]), first=[changed], again=[None], check=check)


async def _resume_schedule(world: World, id: str) -> Plan:
    version = await _put(world, id)
    await world.stores.schedules.pause([id])
    changed = attrs.evolve(_schedule(id), version=version + 2, created_at=T0)
    check = _scheduled(world, id, version=version + 2, paused=False)
    return Plan(call=lambda: world.stores.schedules.resume([id]), first=[changed], again=[None], check=check)


async def _delete_schedule(world: World, id: str) -> Plan:
    await _put(world, id)

    async def check() -> None:
        assert await world.stores.schedules.get([id]) == [None]

    return Plan(call=lambda: world.stores.schedules.delete([id]), first=[True], again=[False], check=check)


_ALWAYS: Mapping[str, Prepare] = {
    "enqueue": _enqueue,
    "claim": _claim,
    "heartbeat": _heartbeat,
    "complete": _complete,
    "complete a run of a series": _complete_series,
    "fail and retry": _retry,
    "fail": _fail,
    "release": _release,
    "recover": _recover,
    "cancel a waiting task": _cancel_waiting,
    "cancel a running task": _cancel_running,
    "redrive": _redrive,
    "pause": _pause,
    "resume": _resume,
    "purge": _purge,
    "reads": _reads,
    "put a result": _put_result,
    "delete a result": _delete_result,
    "purge results": _purge_results,
    "append": _append,
    "trim": _trim,
    "put a schedule": _put_schedule,
    "advance a schedule": _advance,
    "pause a schedule": _pause_schedule,
    "resume a schedule": _resume_schedule,
    "delete a schedule": _delete_schedule,
}
PLANS: Mapping[Mode, Mapping[str, Prepare]] = {
    Mode.SEPARATE: {**_ALWAYS, "acknowledge": _outbox_ack},
    Mode.JOINED: {**_ALWAYS, "fire": _fire},
}
"""How each call is prepared, by its name, in each mode."""
