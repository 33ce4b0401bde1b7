"""Takes a set of names through every call that is given a name, and checks that each means exactly itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.event import EventFilter
from omniq.models.record import Completion, Enqueued, Failure, TaskBody, TaskFilter, TaskSpec
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.schedules import Advance
from omniq_conformance.cases.specimens import LEASE, T0, outcome
from omniq_conformance.outcomes import DivergenceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import Grant
    from omniq_conformance.space import Stores

__all__ = ["check_results", "check_schedules", "check_tasks"]


def _equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        msg = f"{what} answers {found!a} instead of {expected!a}"
        raise DivergenceError(msg)


def _shifted(names: Sequence[str], by: int) -> Sequence[str]:
    """Return the names in another order, so that each task has a different one for every purpose."""
    by %= len(names)
    return [*names[by:], *names[:by]]


async def check_tasks(stores: Stores, names: Sequence[str]) -> None:
    """Check the calls of the queue, and of the events, if they are joined."""
    queue = stores.task_queue
    queues, keys, functions = _shifted(names, 1), _shifted(names, 2), _shifted(names, 3)
    bodies = [
        TaskBody(func=function, args=name.encode(), headers={name: key})
        for name, key, function in zip(names, keys, functions, strict=True)
    ]
    specs = [
        TaskSpec(id=name, body=body, queue=where, unique_key=key, max_attempts=1)
        for name, body, where, key in zip(names, bodies, queues, keys, strict=True)
    ]
    for created in (True, False):
        answers = await queue.enqueue(specs, now=T0)
        _equal("enqueue", answers, [Enqueued(name, created=created) for name in names])
    _equal(
        "get",
        [record and (record.id, record.body) for record in await queue.get(names)],
        [*zip(names, bodies, strict=True)],
    )
    _equal("queues", [stats.name for stats in await queue.queues(now=T0)], sorted(names))
    for name, where, key, function in zip(names, queues, keys, functions, strict=True):
        for filter in (
            TaskFilter(ids=frozenset({name})),
            TaskFilter(queues=frozenset({where})),
            TaskFilter(unique_key=key),
            TaskFilter(funcs=frozenset({function})),
        ):
            _equal(f"list({filter!a})", [record.id for record in await queue.list(filter, now=T0)], [name])
            _equal(f"count({filter!a})", await queue.count(filter, now=T0), 1)
        taken = TaskSpec(id=f"{name[:20]}.", body=bodies[0], queue=where, unique_key=key)
        if taken.id not in names:
            _equal(
                "enqueue with a key that is held", await queue.enqueue([taken], now=T0), [Enqueued(name, created=False)]
            )
    await _check_runs(stores, dict(zip(names, queues, strict=True)))
    await _check_removal(stores, names, dict(zip(names, queues, strict=True)))


async def _check_runs(stores: Stores, queues: dict[str, str]) -> None:
    """Run, pause, cancel and settle: every call concerns the named tasks and queues only."""
    queue, names = stores.task_queue, list(queues)
    paused = names[::2]
    await queue.pause(paused)
    running: list[Grant] = []
    for number, (name, where) in enumerate(queues.items()):
        grants = await queue.claim([where], 9, name, LEASE, f"{number:016x}", now=T0)
        _equal(f"claim({where!a})", [grant.id for grant in grants], [] if where in paused else [name])
        _equal(f"held({name!a})", await queue.held(name, f"{number:016x}"), grants)
        running += grants
    waiting = [name for name in names if queues[name] in paused]
    for name in waiting:
        _equal(f"next_at({queues[name]!a})", await queue.next_at([queues[name]]), None)
    await queue.resume(paused)
    for name in waiting:
        _equal(f"next_at({queues[name]!a})", await queue.next_at([queues[name]]), T0)
    _equal("cancel", await queue.cancel(waiting, now=T0), ["cancelled"] * len(waiting))
    beats = await queue.heartbeat([(grant.id, grant.token) for grant in running], LEASE, now=T0)
    _equal("heartbeat", beats, ["ok"] * len(running))
    ending, failing = running[::2], running[1::2]
    done = await queue.complete([Completion(grant.id, grant.token) for grant in ending], now=T0)
    _equal("complete", done, ["ok"] * len(ending))
    failed = await queue.fail([Failure(grant.id, grant.token, grant.id) for grant in failing], now=T0)
    _equal("fail", failed, ["FAILED"] * len(failing))
    states = dict.fromkeys(waiting, TaskStatus.CANCELLED)
    states |= {grant.id: TaskStatus.COMPLETED for grant in ending} | {grant.id: TaskStatus.FAILED for grant in failing}
    _equal("get", {record.id: record.state for record in await queue.get(names) if record}, states)
    for name in names:
        _equal(f"wait_done({name!a})", await queue.wait_done([name], 0), {name: states[name]})


async def _check_removal(stores: Stores, names: Sequence[str], queues: dict[str, str]) -> None:
    """Acknowledge and purge one task after the other; the events are found by task and queue."""
    queue = stores.task_queue
    entries = await queue.outbox(1000, now=T0)
    if entries:
        await stores.events.append(entries)
    for name in names:
        for filter in (EventFilter(task_id=name), EventFilter(queues=frozenset({queues[name]}))):
            found = await stores.events.read(limit=1000, filter=filter)
            _equal(f"read({filter!a})", {event.task_id for event in found}, {name})
    for number, name in enumerate(names):
        await queue.outbox_ack([entry for entry in entries if entry.task_id == name])
        if entries:
            _equal(f"purge after the entries of {name!a}", await queue.purge(TERMINAL, T0 + 1), [name])
            left = [record.id for record in await queue.list(limit=1000, now=T0)]
            _equal("list", left, list(names[number + 1 :]))
    await queue.purge(TERMINAL, T0 + 1)
    _equal("queues", await queue.queues(now=T0), [])


async def check_results(stores: Stores, names: Sequence[str]) -> None:
    """Check the calls of the result storage."""
    results = stores.results
    records = [outcome(name, value=name.encode(), codec=name) for name in names]
    stored = {record.id: attrs.evolve(record, stored_at=T0) for record in records}
    _equal("put", await results.put(records, now=T0), [True] * len(names))
    _equal("get", await results.get(names, now=T0), list(stored.values()))
    ordered = sorted(names)
    for place, name in enumerate(ordered):
        found = await results.list(after=name, limit=1000, now=T0)
        _equal(f"list(after={name!a})", [record.id for record in found], ordered[place + 1 :])
    for place, name in enumerate(names):
        _equal(f"delete({name!a})", await results.delete([name, name]), [True, False])
        left = [record.id for record in await results.get(names, now=T0) if record]
        _equal("get", left, list(names[place + 1 :]))


async def check_schedules(stores: Stores, names: Sequence[str]) -> None:
    """Check the calls of the schedule storage."""
    schedules = stores.schedules
    made: list[Any] = [
        Schedule(
            id=name, kind=ScheduleKind.CRON, cron=name, zone=name, queue=name, body=TaskBody(func=name), next_run=T0
        )
        for name in names
    ]
    for schedule in made:
        stored = attrs.evolve(schedule, version=T0, created_at=T0)
        _equal(f"put({schedule.id!a})", await schedules.put(schedule, expected_version=0, now=T0), stored)
    _equal("list", [each.id for each in await schedules.list(limit=1000)], sorted(names))
    _equal("due", [each.id for each in await schedules.due(1000, now=T0)], sorted(names))
    for place, name in enumerate(names):
        (paused,) = await schedules.pause([name])
        _equal(f"pause({name!a})", paused and (paused.id, paused.version), (name, T0 + 1))
        _equal("due", [each.id for each in await schedules.due(1000, now=T0)], sorted(names[place + 1 :]))
        step = Advance(id=name, expected_version=T0 + 1, next_run=T0 + place)
        _equal(f"advance({name!a})", await schedules.advance([step]), [True])
    found = await schedules.get(names)
    _equal(
        "get", [each and (each.id, each.next_run) for each in found], [(name, T0 + n) for n, name in enumerate(names)]
    )
    for place, name in enumerate(names):
        _equal(f"delete({name!a})", await schedules.delete([name]), [True])
        left = [each.id for each in await schedules.list(limit=1000)]
        _equal("list", left, sorted(names[place + 1 :]))
