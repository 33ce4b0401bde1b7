"""Ids of tasks: `task-<uuid>`, where the uuid is of version 7 and so grows with time."""

from __future__ import annotations

import os
import time
from typing import Final

__all__ = ["IdMaker"]

_SERIALS: Final = tuple(f"{serial:03x}" for serial in range(4096))
_VARIANTS: Final = "89ab"


class IdMaker:
    """Makes ids that no other process makes; not for several threads.

    Up to 4096 ids share their millisecond and 62 random bits, and are numbered in the 12 bits between, so that they
    sort in the order in which they were made and cost no call to the system each.
    """

    __slots__ = ("_next", "_prefix", "_suffix", "_tick")

    def __init__(self) -> None:
        self._tick = -1
        self._next = len(_SERIALS)
        self._prefix = self._suffix = ""

    def one(self) -> str:
        """Return a new id."""
        tick = time.time_ns() // 1_000_000
        if tick != self._tick or self._next >= len(_SERIALS):
            self._restart(tick)
        serial = self._next
        self._next = serial + 1
        return f"{self._prefix}{_SERIALS[serial]}{self._suffix}"

    def many(self, count: int) -> list[str]:
        """Return new ids, ascending in stretches of 4096."""
        ids: list[str] = []
        while len(ids) < count:
            self._restart(time.time_ns() // 1_000_000)
            prefix, suffix = self._prefix, self._suffix
            ids += [prefix + serial + suffix for serial in _SERIALS[: count - len(ids)]]
        self._next = len(_SERIALS)
        return ids

    def _restart(self, tick: int) -> None:
        moment, chance = f"{tick:012x}", os.urandom(8).hex()
        self._tick = tick
        self._next = 0
        self._prefix = f"task-{moment[:8]}-{moment[8:]}-7"
        self._suffix = f"-{_VARIANTS[int(chance[0], 16) & 3]}{chance[1:4]}-{chance[4:]}"
