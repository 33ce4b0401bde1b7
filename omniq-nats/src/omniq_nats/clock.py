"""The servers' time: measured, and carried on by this process's own monotonic clock."""

from __future__ import annotations

import time

__all__ = ["Clock", "clock_of"]

_KEEP = 60.0


class Clock:
    """Estimates the servers' time in milliseconds since the epoch, UTC.

    A measurement is the server's timestamp of something that happened between a request and its answer, so it is wrong
    by at most half of the time between the two. The best one of the last seconds is used.

    All stores of this process on the same servers have the same one, so that they agree.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._error = float("inf")
        self._measured = float("-inf")
        self._latest = 0

    @property
    def is_old(self) -> bool:
        """Whether it is time to measure again."""
        return time.monotonic() - self._measured > _KEEP

    @property
    def error(self) -> float:
        """By how many seconds the estimate may be wrong."""
        return self._error

    def measured(self, before: float, after: float, at: float) -> None:
        """Take a measurement.

        Args:
            before: The monotonic clock before the request.
            after: The same after the answer.
            at: The server's time between them, in seconds since the epoch.
        """
        error = (after - before) / 2
        if error <= self._error or self.is_old:
            self._offset = at - (before + after) / 2
            self._error = error
            self._measured = after

    def now(self) -> int:
        """Return the servers' time; it never goes back."""
        self._latest = max(self._latest, int((time.monotonic() + self._offset) * 1000))
        return self._latest


_clocks: dict[str, Clock] = {}


def clock_of(where: str) -> Clock:
    """Return the clock of some servers, by their addresses."""
    return _clocks.setdefault(where, Clock())
