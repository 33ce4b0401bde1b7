"""The timeouts of all running tasks, kept by one timer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from omniq.worker.context import Run

__all__ = ["Deadlines"]


class Deadlines:
    """Calls back when the `deadline` of a run has come.

    A timer for each task, `asyncio.timeout` or `wait_for` costs more than a whole short task. There is one timer
    instead, and what it looks through are only the runs that have a deadline, at most as many as there are slots.

    Args:
        loop: The worker's event loop.
        expired: Called once with each run whose deadline came; it may add the run again with a later one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[Run], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._runs: dict[Run, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = float("inf")

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run) -> None:
        """Watch a run that has a deadline."""
        if run.deadline is None:
            return
        self._runs[run] = None
        if run.deadline < self._fires_at:
            self._set_timer(run.deadline)

    def discard(self, run: Run) -> None:
        """Stop watching a run."""
        self._runs.pop(run, None)

    def close(self) -> None:
        """Stop watching all runs."""
        self._runs.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = at
        self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._sweep)

    def _sweep(self) -> None:
        now = time.monotonic()
        self._timer, self._fires_at = None, float("inf")
        over = [run for run in self._runs if run.deadline is not None and run.deadline <= now]
        for run in over:
            del self._runs[run]
        for run in over:
            self._expired(run)
        upcoming = [run.deadline for run in self._runs if run.deadline is not None]
        if upcoming and min(upcoming) < self._fires_at:
            self._set_timer(min(upcoming))
