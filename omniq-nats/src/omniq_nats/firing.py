"""Schedules as they are written, and fires: a schedule's message says what is to be enqueued until it is there.

A fire is one compare-and-set on the schedule, which advances it and names the tasks. Whoever sees such a message, the
one who wrote it first of all, enqueues them and writes the schedule again without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.errors import StoreFormatError
from omniq.models.config import Role
from omniq.models.record import TaskSpec
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq_nats.codec import DAMAGE, body_from, body_values, mark, pack, unpack
from omniq_nats.jetstream import CONFLICT, Write
from omniq_nats.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import Enqueued, TaskBody
    from omniq.storage.schedules import Advance
    from omniq_nats.jetstream import Message, Progress
    from omniq_nats.store import Store

__all__ = ["advanced", "complete", "dump_schedule", "fire", "firing_of", "load_schedule"]

_FIELDS = [field.name for field in attrs.fields(Schedule) if field.name != "body"]
_SPEC_FIELDS = [field.name for field in attrs.fields(TaskSpec) if field.name != "body"]


def dump_schedule(schedule: Schedule, firing: Sequence[Any] | None = None) -> bytes:
    """Return the message of a schedule, with what is to be enqueued."""
    values = [getattr(schedule, name) for name in _FIELDS]
    data: bytes = pack((values, body_values(schedule.body), firing, mark()))
    return data


def load_schedule(message: Message | None) -> Schedule | None:
    """Read a schedule; None also for one that was deleted.

    Raises:
        StoreFormatError: It is damaged.
    """
    if message is None or not message.payload:
        return None
    try:
        values, body, _, _ = unpack(message.payload)
        fields = dict(zip(_FIELDS, values, strict=True))
        fields["kind"] = ScheduleKind(fields["kind"])
        fields["misfire"] = MisfirePolicy(fields["misfire"])
        return Schedule(body=body_from(body), **fields)
    except DAMAGE as error:
        raise _damaged(message, error) from error


def firing_of(message: Message | None) -> Sequence[Any] | None:
    """Return what a schedule's message says that is to be enqueued.

    Raises:
        StoreFormatError: It is damaged.
    """
    if message is None or not message.payload:
        return None
    try:
        return unpack(message.payload)[2]  # type: ignore[no-any-return]
    except DAMAGE as error:
        raise _damaged(message, error) from error


def _damaged(message: Message, error: Exception) -> StoreFormatError:
    return StoreFormatError(f"The message {message.rev} of the log, a schedule, is damaged: {error!r}.")


def advanced(old: Schedule | None, step: Advance) -> Schedule | None:
    """Return a schedule after its fire times were handled; None if its version is another one."""
    if old is None or old.version != step.expected_version:
        return None
    return attrs.evolve(
        old,
        version=old.version + 1,
        next_run=step.next_run,
        last_run=old.last_run if step.last_run is None else step.last_run,
        runs=old.runs + step.fired,
    )


async def fire(
    tasks: Tasks, specs: Sequence[TaskSpec], step: Advance, now: int, progress: Progress
) -> list[Enqueued] | None:
    """Advance a schedule and enqueue its tasks; None if its version is another one."""
    store = tasks.store
    subject = store.names.schedule(step.id)
    while True:
        (message,) = await store.jetstream.last([subject])
        if message is not None and firing_of(message) is not None:
            await complete(store, subject, message, progress)
            continue
        new = advanced(load_schedule(message), step)
        if new is None or message is None:
            return None
        firing = _firing(tasks, specs, now, new.body) if specs else None
        write = Write(subject, message.rev, dump_schedule(new, firing), is_only=True)
        (rev,) = await store.jetstream.write([write], progress)
        if rev == CONFLICT:
            continue
        answers = await tasks.enqueue(specs, now, progress)
        if specs:
            await store.jetstream.write([Write(subject, rev, dump_schedule(new), is_only=True)], progress)
        return answers


async def complete(store: Store, subject: str, message: Message, progress: Progress) -> None:
    """Enqueue what a schedule's message names, and write the schedule without it.

    Raises:
        StoreFormatError: It is damaged.
    """
    schedule, firing = load_schedule(message), firing_of(message)
    if firing is None or schedule is None:
        return
    try:
        now, roles, bodies, rows = firing
        known = [schedule.body if values is None else body_from(values) for values in bodies]
        specs = [TaskSpec(body=known[place], **dict(zip(_SPEC_FIELDS, values, strict=True))) for place, values in rows]
    except DAMAGE as error:
        raise _damaged(message, error) from error
    await Tasks(store, frozenset(map(Role, roles))).enqueue(specs, now, progress)
    await store.jetstream.write([Write(subject, message.rev, dump_schedule(schedule), is_only=True)], progress)


def _firing(tasks: Tasks, specs: Sequence[TaskSpec], now: int, own: TaskBody) -> tuple[Any, ...]:
    """Return what is to be enqueued; None stands for the schedule's own body, so that it is written once."""
    places: dict[int, int] = {}
    bodies: list[tuple[Any, ...] | None] = []
    rows: list[tuple[int, list[Any]]] = []
    for spec in specs:
        place = places.setdefault(id(spec.body), len(bodies))
        if place == len(bodies):
            bodies.append(None if spec.body == own else body_values(spec.body))
        rows.append((place, [getattr(spec, name) for name in _SPEC_FIELDS]))
    return now, [role.value for role in tasks.joined], bodies, rows
