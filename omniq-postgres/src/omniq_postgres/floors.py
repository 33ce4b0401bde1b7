"""Where a claim may begin to look.

A transaction that stays open anywhere on the server keeps PostgreSQL from removing old versions of rows, and the
beginning of an index then fills up with entries of tasks that were claimed long ago. A handle therefore remembers where
the last claims found the first task of each queue and priority, and begins a little before that.

What comes up is ready no earlier than at the moment at which its transaction took the time, so a margin covers what is
committed later. Once a second a claim, and a look for work, begins at the very beginning all the same.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Floors"]

_MARGIN_MS = 2_000
_FULL_EVERY = 1.0
_PRIORITIES = 10


class Floors:
    """The floors of one handle: `ready_at` by queue and priority, and `lease_until` by queue."""

    def __init__(self) -> None:
        self._ready: dict[str, list[int | None]] = {}
        self._leases: dict[str, int] = {}
        self._full_at: dict[str, float] = {}
        self._looked_at = float("-inf")

    def of(self, names: Sequence[str]) -> tuple[list[int | None] | None, list[int | None] | None]:
        """Return the floors of queues as the functions take them; None to begin at the very beginning."""
        now = time.monotonic()
        if any(now - self._full_at.get(name, float("-inf")) >= _FULL_EVERY for name in names):
            return None, None
        return self._known(names)

    def of_look(self, names: Sequence[str]) -> tuple[list[int | None] | None, list[int | None] | None]:
        """Return the floors of queues for a look, which does not tell where it found something."""
        now = time.monotonic()
        if now - self._looked_at >= _FULL_EVERY:
            self._looked_at = now
            return None, None
        return self._known(names)

    def _known(self, names: Sequence[str]) -> tuple[list[int | None], list[int | None]]:
        nowhere = [None] * _PRIORITIES
        ready = [floor for name in names for floor in self._ready.get(name, nowhere)]
        return ready, [self._leases.get(name) for name in names]

    def learn(self, names: Sequence[str], limit: int, rows: Sequence[Any], lease_ms: int, *, full: bool) -> None:
        """Take note of what a claim found.

        Args:
            names: Its queues.
            limit: Its limit.
            rows: What it returned; nothing is learnt from nothing.
            lease_ms: Its lease, which tells the server's time.
            full: Whether it began at the very beginning.
        """
        if not rows:
            return
        now = rows[0]["o_lease_until"] - lease_ms
        lowest = rows[-1]["o_priority"] if len(rows) >= limit else -1
        if full:
            self._leases |= dict.fromkeys(names, now - _MARGIN_MS)
            self._full_at |= dict.fromkeys(names, time.monotonic())
        firsts: dict[str, int] = {}
        for row in rows:
            if row["o_priority"] == lowest:
                firsts.setdefault(row["o_queue"], row["o_ready_at"])
        for name in {row["o_queue"] for row in rows}:  # a queue of which nothing came may be paused
            floors = self._ready.setdefault(name, [None] * _PRIORITIES)
            # Of the priorities above the last one that was granted, everything was.
            floors[lowest + 1 :] = [now - _MARGIN_MS] * (_PRIORITIES - lowest - 1)
            if name in firsts:
                floors[lowest] = firsts[name] - _MARGIN_MS
