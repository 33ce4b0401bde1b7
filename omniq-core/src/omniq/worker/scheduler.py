"""Fires schedules. Any number of schedulers may run; each fire time still makes one task."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, NamedTuple

from omniq.clock import from_millis
from omniq.cron import Cron, Misfire, interval_next, plan_fires
from omniq.errors import ConfigError
from omniq.models.config import Role
from omniq.models.event import Event, EventType
from omniq.models.record import TaskSpec
from omniq.models.schedule import ScheduleKind
from omniq.storage.schedules import Advance
from omniq.worker.retrying import Contact, repeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniq.models.schedule import Schedule
    from omniq.storage.factory import Stores

__all__ = ["Scheduler", "fire_id", "fire_jitter"]

_log = logging.getLogger(__name__)

_BATCH = 100
_LONGEST_SLEEP_S = 1.0
_TOO_OLD_MS = 24 * 3600 * 1000
"""Ended tasks are kept so long at least. An older fire time is not enqueued, as a repeat might not be recognised."""


class _Firing(NamedTuple):
    """What is to be done about one due schedule."""

    specs: list[TaskSpec]
    advance: Advance
    missed: list[Misfire]


def fire_id(schedule_id: str, fire_time: int) -> str:
    """Return the id of the task of one fire time, the same in every scheduler."""
    digest = hashlib.blake2b(f"{schedule_id}\0{fire_time}".encode(), digest_size=16)
    return f"sched-{digest.hexdigest()}"


def fire_jitter(schedule_id: str, fire_time: int, jitter_ms: int) -> int:
    """Return by how many milliseconds this fire is delayed, the same in every scheduler."""
    if jitter_ms <= 0:
        return 0
    digest = hashlib.blake2b(f"{schedule_id}\0{fire_time}".encode(), digest_size=8, person=b"jitter")
    return int.from_bytes(digest.digest()) % (jitter_ms + 1)


class Scheduler:
    """The schedule loop.

    Args:
        stores: The opened storages.
        fired: Called after tasks were enqueued.
    """

    def __init__(self, stores: Stores, fired: Callable[[], None]) -> None:
        self._queue = stores.task_queue
        self._schedules = stores.schedules
        self._events = stores.events
        self._is_joined = Role.SCHEDULE_STORAGE in stores.joined
        self._fired = fired
        self._contact = Contact("firing schedules", _log)
        self._broken: dict[str, int] = {}

    async def run(self) -> None:
        """Fire what is due, sleep until the next is, until cancelled."""
        await repeat(self._step, self._contact)

    async def _step(self) -> float:
        await self.fire_due()
        return await self._until_next()

    async def fire_due(self) -> int:
        """Fire every schedule that is due; return how many tasks that made."""
        made = 0
        while True:
            due = await self._schedules.due(_BATCH)
            now = await self._schedules.time()
            progress = False
            for schedule in due:
                firing = self._plan(schedule, now)
                if firing is not None and await self._fire(schedule, firing, now):
                    made += len(firing.specs)
                    progress = True
            if not progress:
                return made

    async def _until_next(self) -> float:
        """Return for how long nothing is due; at most a second, as other processes may add schedules."""
        next_due = await self._schedules.next_due()
        if next_due is None:
            return _LONGEST_SLEEP_S
        left = (next_due - await self._schedules.time()) / 1000
        # Due and still here: a broken schedule, or one that another scheduler is firing right now.
        return _LONGEST_SLEEP_S / 10 if left <= 0 else min(_LONGEST_SLEEP_S, left + 0.001)

    def _plan(self, schedule: Schedule, now: int) -> _Firing | None:
        """Compute what to enqueue; None for a schedule that cannot be computed, which is logged once a version."""
        if schedule.next_run is None:
            return None
        left = None if schedule.max_runs is None else schedule.max_runs - schedule.runs
        try:
            plan = plan_fires(
                next_run=schedule.next_run,
                now=now,
                next_after=_series(schedule),
                policy=schedule.misfire.value,
                grace_ms=schedule.grace_ms,
            )
        except ConfigError as error:
            if self._broken.get(schedule.id) != schedule.version:
                self._broken = {**self._broken, schedule.id: schedule.version}
                _log.error("schedule %s cannot be fired until it is corrected: %s", schedule.id, error)
            return None
        self._broken.pop(schedule.id, None)
        recent = [time for time in plan.fire if time > now - _TOO_OLD_MS]
        missed = [*plan.misfired, *_too_old(plan.fire, recent)]
        if missed:
            # A change of its own, up to the first time that is run, because each version has one event.
            after = recent[0] if recent else plan.next_run
            return _Firing([], Advance(id=schedule.id, expected_version=schedule.version, next_run=after), missed)
        fires = recent if left is None else recent[: max(0, left)]
        is_over = left is not None and len(fires) >= left
        advance = Advance(
            id=schedule.id,
            expected_version=schedule.version,
            next_run=None if is_over else plan.next_run,
            last_run=fires[-1] if fires else None,
            fired=len(fires),
        )
        return _Firing([_spec(schedule, time) for time in fires], advance, missed)

    async def _fire(self, schedule: Schedule, firing: _Firing, now: int) -> bool:
        """Enqueue, record and advance; tell whether this scheduler was the one that advanced it."""
        event = _event(schedule, firing, now)
        if self._is_joined:
            if await self._queue.fire(firing.specs, firing.advance) is None:
                return False
            await self._events.append([event])
        else:
            # A crash in between repeats the enqueue with the same ids, which changes nothing.
            if firing.specs:
                await self._queue.enqueue(firing.specs)
            await self._events.append([event])
            (advanced,) = await self._schedules.advance([firing.advance])
            if not advanced:
                return False
        if firing.missed:
            _log.warning("schedule %s: %s", schedule.id, event.error)
        if firing.specs:
            self._fired()
        return True


def _series(schedule: Schedule) -> Callable[[int], int | None]:
    """Return the function that gives the nominal time after a time.

    Raises:
        ConfigError: The schedule's definition is not valid here.
    """
    if schedule.kind is ScheduleKind.ONCE:
        return lambda _: None
    if schedule.kind is ScheduleKind.CRON:
        return Cron(schedule.cron or "", schedule.zone).next_after
    interval_ms, start = schedule.interval_ms, schedule.next_run
    if interval_ms is None or start is None:
        raise ConfigError(f"schedule {schedule.id!r} of kind interval has no interval_ms; put it again with one.")
    return lambda time: interval_next(start, interval_ms, time)


def _spec(schedule: Schedule, fire_time: int) -> TaskSpec:
    eta = fire_time + fire_jitter(schedule.id, fire_time, schedule.jitter_ms)
    return TaskSpec(
        id=fire_id(schedule.id, fire_time),
        body=schedule.body,
        queue=schedule.queue,
        priority=schedule.priority,
        eta=eta,
        max_attempts=schedule.max_attempts,
        expires_at=None if schedule.expires_in_ms is None else eta + schedule.expires_in_ms,
        pinned=True,
    )


def _too_old(fires: tuple[int, ...], recent: list[int]) -> list[Misfire]:
    """Return the fires that may not be enqueued any more as one entry, if there are any."""
    old = fires[: len(fires) - len(recent)]
    return [Misfire(first=old[0], last=old[-1], count=len(old), exact=True, reason="older than 24 h")] if old else []


def _event(schedule: Schedule, firing: _Firing, now: int) -> Event:
    return Event(
        task_id=f"sched:{schedule.id}",
        seq=0,
        version=firing.advance.expected_version + 1,
        type=EventType.SCHEDULE_MISFIRED if firing.missed else EventType.SCHEDULE_FIRED,
        at=now,
        queue=schedule.queue,
        error=_missed_text(firing.missed) if firing.missed else None,
    )


def _missed_text(missed: list[Misfire]) -> str:
    count = sum(span.count for span in missed)
    number = str(count) if all(span.exact for span in missed) else f"more than {count}"
    reasons = ", ".join(dict.fromkeys(span.reason for span in missed))
    first, last = from_millis(missed[0].first), from_millis(missed[-1].last)
    return f"missed {number} fire times from {first.isoformat()} to {last.isoformat()} ({reasons})"
