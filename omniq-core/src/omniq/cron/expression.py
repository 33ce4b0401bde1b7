"""Cron expressions in a time zone.

Matching wall-clock times against an expression is cronsim's work; this module adds what happens where the wall clock
jumps:

* An expression that **names hours** is about the clock on the wall. Each matching wall time fires once: one that the
  clock skips fires at the first valid instant after the gap, one that it shows twice fires the first time.
* An expression **for every hour** is about elapsed time: it fires at each instant whose wall time matches, so that
  `*/5 * * * *` goes on every five minutes through both jumps.

Debian's cron draws nearly the same line, but counts every hour or minute field that starts with `*` as the second kind.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import attrs

from omniq.clock import from_millis, to_millis
from omniq.cron.parsing import Matcher, load_zone, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cron"]

_SECOND = timedelta(seconds=1)
_HOUR = timedelta(hours=1)
_REACH = timedelta(hours=26)  # no clock was ever moved by more than 24 hours
_EVERY_HOUR = frozenset(range(24))


@attrs.frozen
class Cron:
    """A cron expression in a time zone.

    Five fields (minute, hour, day of month, month, day of week), six with seconds in front, or `@hourly`, `@daily`,
    `@weekly`, `@monthly`, `@yearly`. If day of month and day of week are both restricted, either may match, as in
    every cron; if one of them starts with `*`, both must.

    Args:
        expression: The cron expression.
        zone: An IANA time zone key such as `Europe/Berlin`.

    Raises:
        ConfigError: The expression or the zone is invalid, or the expression never fires.
    """

    expression: str
    zone: str = "UTC"
    _matcher: Matcher = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(lambda self: parse(self.expression), takes_self=True)
    )
    _tz: tzinfo = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(lambda self: load_zone(self.zone), takes_self=True)
    )

    def next_after(self, millis: int) -> int:
        """Return the first fire time strictly after a time.

        Args:
            millis: Milliseconds since the epoch.

        Returns:
            The nominal fire time in milliseconds since the epoch.
        """
        after = from_millis(millis).astimezone(self._tz)
        every_hour = self._matcher.hours >= _EVERY_HOUR
        return to_millis(self._next_elapsed(after) if every_hour else self._next_on_the_wall(after))

    def upcoming(self, after: int, count: int) -> Iterator[int]:
        """Yield the first `count` fire times strictly after a time, in milliseconds since the epoch."""
        for _ in range(count):
            after = self.next_after(after)
            yield after

    def _next_match(self, wall: datetime) -> datetime:
        matcher = copy.copy(self._matcher)
        matcher.dt = wall.replace(tzinfo=None, fold=0, microsecond=0)
        return next(matcher)

    def _next_on_the_wall(self, after: datetime) -> datetime:
        wall, fire = after, after.astimezone(UTC)
        while fire <= after:  # so it is for a time that is shown again, and for the second of two in one gap
            wall = self._next_match(wall)
            fire = _first_instant(wall, self._tz)
        return fire

    def _next_elapsed(self, after: datetime) -> datetime:
        """Follow the wall clock from jump to jump; between two of them it runs evenly.

        Jumps are only looked for near the start and near the candidate: in between, no offset that clocks ever had
        brings a matching wall time about.
        """
        wall, start = after, after.astimezone(UTC)
        while True:
            offset = start.astimezone(self._tz).utcoffset() or timedelta()
            fire = (self._next_match(wall) - offset).replace(tzinfo=UTC)
            jump = _first_jump(start, min(fire, start + _REACH), self._tz)
            if jump is not None:
                start = jump
                wall = jump.astimezone(self._tz).replace(tzinfo=None) - _SECOND  # the moment of the jump may match
            elif fire - start > _REACH:
                start = max(fire - _REACH, start + _REACH)
                wall = start.astimezone(self._tz)
            else:
                return fire


def _first_instant(wall: datetime, tz: tzinfo) -> datetime:
    """Return the first instant at which clocks show a wall time or, if they skip it, a later one."""
    first, second = (wall.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first
    # A gap. PEP 495: with the offset of before it (fold=0) the time lies behind the jump, with the other one before it.
    return _jump(second, first, tz)


def _first_jump(after: datetime, until: datetime, tz: tzinfo) -> datetime | None:
    """Return the first instant in `after < instant <= until` with another offset than the one before it; all in UTC."""
    here, end = after.replace(microsecond=0), until.replace(microsecond=0)
    offset = here.astimezone(tz).utcoffset()
    while here < end:
        ahead = min(here + _HOUR, end)
        if ahead.astimezone(tz).utcoffset() != offset:
            return _jump(here, ahead, tz)
        here = ahead
    return None


def _jump(before: datetime, behind: datetime, tz: tzinfo) -> datetime:
    """Return the whole second between two UTC times at which the offset becomes that of the second one."""
    offset = behind.astimezone(tz).utcoffset()
    while behind - before > _SECOND:
        middle = before + (behind - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(tz).utcoffset() == offset:
            behind = middle
        else:
            before = middle
    return behind
