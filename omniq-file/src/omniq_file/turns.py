"""Let other processes append, where nothing but speed decides who is next."""

from __future__ import annotations

import random
import time

__all__ = ["Turns"]

_NEARBY = 1.0
"""Seconds after the last entry of another process in which more are to be expected."""
_ALONE = 16
"""After so many entries of its own a process looks whether it only seems to be alone."""


class Turns:
    """Whether a process has to wait before its next entry.

    Whoever appends without a pause knows the end of the log, and the others learn it one reply later: they would come
    too late every time. So the winner waits for about as long as an entry takes.
    """

    def __init__(self) -> None:
        self._own = 0  # entries since one of another process
        self._ended = self._took = 0.0
        self._met = float("-inf")

    def met(self) -> None:
        """Take note of an entry of another process."""
        self._own = 0
        self._met = time.monotonic()

    def won(self, seconds: float) -> None:
        """Take note of an entry of this process, which took so long."""
        self._own += 1
        self._ended, self._took = time.monotonic(), seconds

    def give(self) -> bool:
        """Wait if it is the others' turn, and return whether they had one."""
        now = time.monotonic()
        if not self._own or (self._own < _ALONE and now - self._met > _NEARBY):
            return False
        self._own = 0
        left = self._ended + self._took * random.uniform(1, 2) - now  # noqa: S311 - no secret
        if left <= 0:
            return False
        time.sleep(left)
        return True
