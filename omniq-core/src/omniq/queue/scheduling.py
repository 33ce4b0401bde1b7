"""What a schedule is made of, and when it fires."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from omniq.cron import Cron, interval_next
from omniq.errors import ConfigError
from omniq.models.durations import parse_seconds, seconds_to_millis
from omniq.models.redaction import show
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.queue.filters import parse_members, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omniq.queue.options import Duration, TaskOptions

__all__ = ["Timing", "check_options", "fire_times", "is_same"]

_UNSUITABLE = ("unique_key", "interval_ms", "delay_ms", "eta", "connection", "task_id")
_STATE = ("next_run", "last_run", "runs", "paused", "version", "created_at")


@attrs.frozen(kw_only=True)
class Timing:
    """The part of a schedule's definition that says when.

    Attributes:
        fields: The fields of `Schedule`.
        at: The time of a one-shot, or the first time of an interval, if it is given.
    """

    fields: dict[str, Any]
    at: int | None

    @classmethod
    def parse(
        cls,
        *,
        cron: str | None,
        zone: str,
        interval: timedelta | None,
        at: datetime | None,
        misfire: MisfirePolicy | str,
        grace: Duration | None,
        jitter: Duration | None,
        max_runs: int | None,
    ) -> Timing:
        """Check what the caller of `add_schedule` said.

        Raises:
            ConfigError: It is invalid.
        """
        if (cron is not None) + (interval is not None or at is not None) != 1:
            msg = (
                f"A schedule is a cron expression, an interval, or one time: cron={show(cron)}, "
                f"interval={show(interval)}, at={show(at)}. Give cron=, or interval= (with at= for its first time), "
                "or at= alone."
            )
            raise ConfigError(msg)
        if max_runs is not None and (type(max_runs) is not int or max_runs < 1):
            msg = f"max_runs: {show(max_runs)} is not a number of runs. Give at least 1, or leave it out for no end."
            raise ConfigError(msg)
        (policy,) = parse_members(misfire, "misfire", MisfirePolicy)
        fields: dict[str, Any] = {
            "misfire": policy,
            "grace_ms": _milliseconds(grace, "grace"),
            "jitter_ms": _milliseconds(jitter, "jitter") or 0,
            "max_runs": max_runs,
        }
        if cron is not None:
            Cron(cron, zone)
            fields |= {"kind": ScheduleKind.CRON, "cron": cron, "zone": zone}
        elif interval is not None:
            fields |= {"kind": ScheduleKind.INTERVAL, "interval_ms": _interval(interval)}
        else:
            fields |= {"kind": ScheduleKind.ONCE}
        return cls(fields=fields, at=None if at is None else parse_time(at, "at"))

    def first(self, now: int) -> int:
        """Return the first nominal fire time of a schedule that begins now."""
        if self.fields["kind"] is ScheduleKind.CRON:
            return Cron(self.fields["cron"], self.fields["zone"]).next_after(now)
        if self.fields["kind"] is ScheduleKind.ONCE:
            return self.at or now
        interval_ms: int = self.fields["interval_ms"]
        if self.at is None:
            return now + interval_ms
        return self.at if self.at > now else interval_next(self.at, interval_ms, now)


def is_same(known: Schedule, wanted: Schedule, at: int | None) -> bool:
    """Tell whether a stored schedule has the wanted definition, wherever in time it is."""
    state = {name: getattr(known, name) for name in _STATE}
    if attrs.evolve(wanted, **state) != known:
        return False
    return wanted.kind is not ScheduleKind.ONCE or at in {known.next_run, known.last_run}


def check_options(options: TaskOptions, schedule_id: str) -> None:
    """Refuse options of a task that a schedule's runs cannot have.

    Raises:
        ConfigError: There is one.
    """
    for name in _UNSUITABLE:
        value = getattr(options, name)
        if value is not None:
            option = name.removesuffix("_ms")
            msg = (
                f"The schedule {schedule_id!r} cannot enqueue a task with {option}={show(value)}: the schedule says "
                f"when its tasks start, and names them. Schedule a task without {option}."
            )
            raise ConfigError(msg)


def fire_times(schedule: Schedule, count: int) -> list[int]:
    """Return the next nominal fire times in milliseconds since the epoch, at most `count`."""
    if schedule.next_run is None:
        return []
    left = count if schedule.max_runs is None else min(count, schedule.max_runs - schedule.runs)
    return list(islice(_from(schedule, schedule.next_run), max(left, 0)))


def _from(schedule: Schedule, time: int) -> Iterator[int]:
    yield time
    if schedule.cron is not None:
        cron = Cron(schedule.cron, schedule.zone)
        while True:
            time = cron.next_after(time)
            yield time
    elif schedule.interval_ms is not None:
        while True:
            time += schedule.interval_ms
            yield time


def _interval(interval: object) -> int:
    if not isinstance(interval, timedelta) or interval <= timedelta(0):
        msg = f"interval: {show(interval)} is not an interval. Give a datetime.timedelta, such as timedelta(minutes=5)."
        raise ConfigError(msg)
    return _milliseconds(interval, "interval") or 0


def _milliseconds(value: Duration | None, name: str) -> int | None:
    try:
        return seconds_to_millis(parse_seconds(value))
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
