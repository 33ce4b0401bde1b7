"""The definition of a schedule and its place in time."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

from omniq.clock import from_millis
from omniq.models.record import TaskBody

if TYPE_CHECKING:
    from datetime import datetime


__all__ = ["MisfirePolicy", "Schedule", "ScheduleKind"]


class ScheduleKind(StrEnum):
    """How the fire times follow each other."""

    CRON = "cron"
    INTERVAL = "interval"
    ONCE = "once"


class MisfirePolicy(StrEnum):
    """What to do with fire times that passed while no scheduler ran."""

    SKIP = "skip"
    COALESCE = "coalesce"
    ALL = "all"


@attrs.frozen(kw_only=True)
class Schedule:
    """When which task is enqueued. All times are milliseconds since the epoch, UTC.

    Attributes:
        id: Unique in the namespace; also the schedule's name.
        kind: Cron, interval or once.
        body: What to run.
        cron: The cron expression, for kind cron.
        zone: The IANA time zone in which the expression is read.
        interval_ms: The interval, for kind interval.
        queue: Where the task goes.
        priority: 0 to 9, 9 first.
        max_attempts: Of each task.
        expires_in_ms: Each task expires so long after its fire time if it still waits.
        misfire: What to do with missed fire times.
        grace_ms: A fire time that is later than this counts as missed; None is without limit.
        jitter_ms: Each task is delayed by up to this, by a hash of schedule and fire time.
        max_runs: The schedule ends after so many fires; None is without end.
        next_run: The next nominal fire time; None when the schedule has ended.
        last_run: The latest nominal fire time that was enqueued.
        runs: How many fires were enqueued.
        paused: Whether it is passed over.
        version: Grows by one at every change; the number of its latest event.
        created_at: When it was put first.
    """

    id: str
    kind: ScheduleKind
    body: TaskBody
    cron: str | None = None
    zone: str = "UTC"
    interval_ms: int | None = None
    queue: str = "default"
    priority: int = 0
    max_attempts: int = 4
    expires_in_ms: int | None = None
    misfire: MisfirePolicy = MisfirePolicy.COALESCE
    grace_ms: int | None = None
    jitter_ms: int = 0
    max_runs: int | None = None
    next_run: int | None = None
    last_run: int | None = None
    runs: int = 0
    paused: bool = False
    version: int = 0
    created_at: int = 0

    @property
    def next_run_at(self) -> datetime | None:
        """The next nominal fire time, in UTC."""
        return None if self.next_run is None else from_millis(self.next_run)

    @property
    def last_run_at(self) -> datetime | None:
        """The latest nominal fire time that was enqueued, in UTC."""
        return None if self.last_run is None else from_millis(self.last_run)
