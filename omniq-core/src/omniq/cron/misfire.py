"""What to do about fire times that passed while no scheduler looked: pure arithmetic on millisecond times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import takewhile

import attrs

from omniq.errors import ConfigError

__all__ = ["FirePlan", "Misfire", "interval_next", "plan_fires"]

_SKIP_GRACE_MS = 60_000
_LONGEST_COUNT = 2_000
_FIRST_WINDOW_MS = 60_000
_WINDOW_GROWTH = 8

NextAfter = Callable[[int], int | None]
"""Returns the first nominal time strictly after a time, or None after the last one."""

_PASSED_OVER = {"all": "over max_catchup", "coalesce": "coalesced", "skip": "skipped"}


@attrs.frozen(kw_only=True)
class Misfire:
    """Fire times in a row that are recorded but not run.

    Attributes:
        first: The first of them, in milliseconds since the epoch.
        last: The last of them, in milliseconds since the epoch.
        count: How many; if not `exact`, at least so many.
        exact: False if there are more than 2,000, which is not worth the time.
        reason: `late` (over the grace time), `coalesced`, `skipped` or `over max_catchup`.
    """

    first: int
    last: int
    count: int
    exact: bool
    reason: str


@attrs.frozen(kw_only=True)
class FirePlan:
    """What a scheduler does about one due schedule.

    Attributes:
        fire: The nominal times to enqueue a task for, ascending, in milliseconds since the epoch.
        misfired: What to record as missed, ascending.
        next_run: The next nominal time, after now; None when there is none.
    """

    fire: tuple[int, ...]
    misfired: tuple[Misfire, ...]
    next_run: int | None


def interval_next(nominal: int, interval_ms: int, now: int) -> int:
    """Return the first of `nominal + k * interval_ms`, k >= 1, that is strictly after now.

    It counts from the nominal time, so intervals do not drift; and never returns `nominal` itself, even if the clock
    was set back, so that no fire time comes twice.

    Args:
        nominal: The previous nominal time, in milliseconds since the epoch.
        interval_ms: Milliseconds between two fire times.
        now: Milliseconds since the epoch.

    Raises:
        ConfigError: The interval is not positive.
    """
    if interval_ms <= 0:
        raise ConfigError(f"interval: {interval_ms} ms is not positive; an interval is at least 1 ms.")
    return nominal + interval_ms * max(1, (now - nominal) // interval_ms + 1)


def plan_fires(
    *,
    next_run: int,
    now: int,
    next_after: NextAfter,
    policy: str = "coalesce",
    grace_ms: int | None = None,
    max_catchup: int = 1000,
) -> FirePlan:
    """Decide which of the due fire times run.

    Due are all nominal times from `next_run` to `now`. Those older than the grace time are misfired. Of the others
    `all` runs each (at most the latest `max_catchup`), `coalesce` and `skip` run the latest one; they differ in that
    `skip` without a grace time has one of 60 s, so it never runs what was missed.

    The cost does not grow with the length of the outage: a few thousand steps at most, plus some for each fire.

    Args:
        next_run: The earliest nominal time that was not dealt with, in milliseconds since the epoch.
        now: Milliseconds since the epoch.
        next_after: The schedule's own series of nominal times.
        policy: `skip`, `coalesce` or `all`.
        grace_ms: How late a fire may be, in milliseconds; None is without limit (60 s for `skip`).
        max_catchup: The most fires that `all` makes at once.

    Raises:
        ConfigError: The policy is unknown.
    """
    if policy not in _PASSED_OVER:
        raise ConfigError(f"misfire policy {policy!r} is unknown; use skip, coalesce or all.")
    if now < next_run:
        return FirePlan(fire=(), misfired=(), next_run=next_run)
    if policy == "skip" and grace_ms is None:
        grace_ms = _SKIP_GRACE_MS
    oldest = next_run if grace_ms is None else max(next_run, now - grace_ms)
    times = _Times(next_run, next_after)
    fire = times.latest(oldest, now, max_catchup if policy == "all" else 1)
    spans = (
        times.span(next_run, oldest - 1, "late"),
        times.span(oldest, fire[0] - 1 if fire else now, _PASSED_OVER[policy]),
    )
    return FirePlan(fire=fire, misfired=tuple(span for span in spans if span is not None), next_run=next_after(now))


@attrs.frozen
class _Times:
    """The nominal times from `next_run` on; `next_run` is one of them, whatever the expression says by now."""

    next_run: int
    next_after: NextAfter

    def between(self, first: int, last: int) -> Iterator[int]:
        """Yield the times in a closed range."""
        return takewhile(lambda time: time <= last, self._since(first))

    def latest(self, first: int, last: int, keep: int) -> tuple[int, ...]:
        """Return the last `keep` times in a closed range, looking at growing windows from its end."""
        window = _FIRST_WINDOW_MS
        while True:
            start = max(first, last - window)
            found = deque(self.between(start, last), maxlen=keep)
            if len(found) == keep or start == first:
                return tuple(found)
            window *= _WINDOW_GROWTH

    def span(self, first: int, last: int, reason: str) -> Misfire | None:
        """Describe the times in a closed range, or return None if there are none."""
        start = end = None
        count = 0
        for end in self.between(first, last):
            start = end if start is None else start
            count += 1
            if count > _LONGEST_COUNT:
                break
        if start is None or end is None:
            return None
        exact = count <= _LONGEST_COUNT
        if not exact:
            (end,) = self.latest(first, last, 1)
        return Misfire(first=start, last=end, count=count, exact=exact, reason=reason)

    def _since(self, first: int) -> Iterator[int]:
        time = self.next_run if first <= self.next_run else self.next_after(first - 1)
        while time is not None:
            yield time
            time = self.next_after(time)
