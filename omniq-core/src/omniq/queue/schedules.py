"""Schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.clock import from_millis
from omniq.errors import ConfigError, ScheduleNotFoundError, StorageError
from omniq.models.event import Event, EventType
from omniq.models.record import TaskSpec
from omniq.models.redaction import show
from omniq.models.schedule import MisfirePolicy, Schedule
from omniq.queue.calls import call_of
from omniq.queue.connection import Client
from omniq.queue.job import Job
from omniq.queue.options import parse_options
from omniq.queue.scheduling import Timing, check_options, fire_times, is_same
from omniq.queue.specs import SpecMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from omniq.queue.connection import Connection
    from omniq.queue.options import Duration
    from omniq.queue.task import TaskCall, TaskHandle
    from omniq.serialization import Serializer

__all__ = ["ScheduleClient"]

_PAGE = 1000
_RACES = 10


class ScheduleClient(Client):
    """The part of a facade that keeps schedules."""

    async def add_schedule(
        self,
        id: str,
        func: TaskCall[Any] | TaskHandle[..., Any] | Callable[..., Any] | str,
        args: list[Any] | tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        cron: str | None = None,
        zone: str = "UTC",
        interval: timedelta | None = None,
        at: datetime | None = None,
        misfire: MisfirePolicy | str = MisfirePolicy.COALESCE,
        grace: Duration | None = None,
        jitter: Duration | None = None,
        max_runs: int | None = None,
        paused: bool | None = None,
        queue: str | None = None,
        priority: int | None = None,
        max_retries: int | None = None,
        timeout: Duration | None = None,
        result_ttl: Duration | None = None,
        expires_in: Duration | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Schedule:
        """Keep a schedule, which every worker fires: at most one task for every fire time.

        An application may do this whenever it starts: a schedule that is stored with the same definition stays as it
        is, one with another definition is replaced and keeps its count of runs.

        Args:
            id: The schedule's name.
            func: What to run, as `enqueue` takes it.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            cron: A cron expression: `*/15 9-17 * * mon-fri`, with seconds in front if there are six fields.
            zone: The IANA time zone of the cron expression.
            interval: The time between two fires, a timedelta.
            at: The time of the only fire; with `interval`, of the first one.
            misfire: What to do about fire times that passed while no worker ran: `skip`, `coalesce` (fire once) or
                `all`.
            grace: How late a fire may be; one that is later counts as missed.
            jitter: Each fire is delayed by up to this, by chance that is the same on every worker.
            max_runs: End after so many fires.
            paused: Whether it is passed over; None leaves it as it is, and does not pause a new one.
            queue: Of its tasks; this and what follows is as `enqueue` takes it.
            priority: 0 to 9, 9 first.
            max_retries: Of each task.
            timeout: Of each attempt.
            result_ttl: How long results are kept.
            expires_in: After which a task that waits is not worth starting, counted from its fire time.
            headers: Free-form text by name.

        Returns:
            The stored schedule.

        Raises:
            ConfigError: Something is invalid.
            SerializationError: An argument cannot be encoded.
        """
        if not id or not isinstance(id, str):
            raise ConfigError(f"id: {show(id)} is not a name of a schedule. Give text such as 'nightly-report'.")
        timing = Timing.parse(
            cron=cron,
            zone=zone,
            interval=interval,
            at=at,
            misfire=misfire,
            grace=grace,
            jitter=jitter,
            max_runs=max_runs,
        )
        given = {
            **parse_options(queue=queue, priority=priority, max_retries=max_retries, headers=headers),
            **parse_options(timeout=timeout, result_ttl=result_ttl, expires_in=expires_in),
        }
        call = call_of(func, args, kwargs, self)
        connection = await self._connection()
        wanted = _definition(id, call, given, timing, connection.serializer)
        return await _put(connection, wanted, timing, paused=paused)

    async def get_schedule(self, id: str) -> Schedule:
        """Return a schedule.

        Raises:
            ScheduleNotFoundError: There is none with this id.
        """
        connection = await self._connection()
        return await _get(connection, id)

    async def list_schedules(self) -> list[Schedule]:
        """Return all schedules, by id."""
        connection = await self._connection()
        schedules: list[Schedule] = []
        while True:
            after = schedules[-1].id if schedules else None
            page = await connection.stores.schedules.list(after=after, limit=_PAGE)
            schedules += page
            if len(page) < _PAGE:
                return schedules

    async def pause_schedule(self, id: str) -> Schedule:
        """Pass a schedule over until it is resumed; fire times that pass meanwhile are missed.

        Raises:
            ScheduleNotFoundError: There is none with this id.
        """
        connection = await self._connection()
        (changed,) = await connection.stores.schedules.pause([id])
        return await _told(connection, id, changed, EventType.SCHEDULE_PAUSED)

    async def resume_schedule(self, id: str) -> Schedule:
        """Let a paused schedule fire again; what it missed is subject to its misfire policy.

        Raises:
            ScheduleNotFoundError: There is none with this id.
        """
        connection = await self._connection()
        (changed,) = await connection.stores.schedules.resume([id])
        return await _told(connection, id, changed, EventType.SCHEDULE_RESUMED)

    async def delete_schedule(self, id: str) -> bool:
        """Remove a schedule; tasks that it enqueued stay. Returns False if there was none with this id."""
        connection = await self._connection()
        (deleted,) = await connection.stores.schedules.delete([id])
        return deleted

    async def run_schedule(self, id: str) -> Job[Any]:
        """Enqueue a schedule's task now, besides its fire times, even if it is paused.

        Raises:
            ScheduleNotFoundError: There is none with this id.
        """
        connection = await self._connection()
        schedule = await _get(connection, id)
        expires_at = None
        if schedule.expires_in_ms is not None:
            expires_at = await connection.queue.time() + schedule.expires_in_ms
        spec = TaskSpec(
            id=connection.ids.one(),
            body=schedule.body,
            queue=schedule.queue,
            priority=schedule.priority,
            max_attempts=schedule.max_attempts,
            expires_at=expires_at,
        )
        await connection.prepare([spec])
        answer = await connection.write_one(spec)
        return Job(answer.id, self._jobs)

    async def next_fire_times(self, id: str, count: int = 5) -> list[datetime]:
        """Return the next nominal fire times in UTC, fewer if the schedule ends before.

        Raises:
            ScheduleNotFoundError: There is none with this id.
        """
        connection = await self._connection()
        return [from_millis(time) for time in fire_times(await _get(connection, id), count)]


async def _get(connection: Connection, id: str) -> Schedule:
    (schedule,) = await connection.stores.schedules.get([id])
    if schedule is None:
        msg = f"No schedule has the id {id!r}. `omniq schedule list` shows those that there are."
        raise ScheduleNotFoundError(msg)
    return schedule


def _definition(
    id: str, call: TaskCall[Any], given: Mapping[str, Any], timing: Timing, serializer: Serializer
) -> Schedule:
    options = call.options.merged(given)
    check_options(options, id)
    (spec,) = SpecMaker(call.name, options, serializer).make([id], [(call.args, call.kwargs)], 0)
    return Schedule(
        id=id,
        body=spec.body,
        queue=spec.queue,
        priority=spec.priority,
        max_attempts=spec.max_attempts,
        expires_in_ms=options.expires_in_ms,
        **timing.fields,
    )


async def _put(connection: Connection, wanted: Schedule, timing: Timing, *, paused: bool | None) -> Schedule:
    schedules = connection.stores.schedules
    for _ in range(_RACES):
        (known,) = await schedules.get([wanted.id])
        now = await schedules.time()
        if known is None:
            version = 0
            new = attrs.evolve(wanted, next_run=timing.first(now), paused=bool(paused))
        else:
            version = known.version
            is_paused = known.paused if paused is None else paused
            if is_same(known, wanted, timing.at):
                if is_paused == known.paused:
                    return known
                new = attrs.evolve(known, paused=is_paused)
            else:
                is_over = wanted.max_runs is not None and known.runs >= wanted.max_runs
                next_run = None if is_over else timing.first(now)
                new = attrs.evolve(
                    wanted, next_run=next_run, last_run=known.last_run, runs=known.runs, paused=is_paused
                )
        stored = await schedules.put(new, expected_version=version)
        if stored is not None:
            return stored
    msg = f"The schedule {wanted.id!r} was changed by others all the time and was not stored. Try again."
    raise StorageError(msg)


async def _told(connection: Connection, id: str, changed: Schedule | None, event_type: EventType) -> Schedule:
    """Record the change, if there was one; return the schedule."""
    if changed is None:
        return await _get(connection, id)
    now = await connection.stores.schedules.time()
    event = Event(task_id=f"sched:{id}", seq=0, version=changed.version, type=event_type, at=now, queue=changed.queue)
    await connection.stores.events.append([event])
    return changed
