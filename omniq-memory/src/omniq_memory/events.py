"""The event storage role in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.storage.events import EventStorage
from omniq_memory.handle import MemoryHandle
from omniq_memory.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omniq.models.event import Event, EventFilter

__all__ = ["MemoryEventStorage"]

_PAGE = 256
_ANY = ("",)


class MemoryEventStorage(MemoryHandle, EventStorage):
    """The log in a list; a position is the decimal number of an event."""

    async def append(self, events: Sequence[Event]) -> int:
        state = self._state
        with state.lock:
            return state.log.append(events)

    async def read(
        self, *, after: str | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[Event]:
        state = self._state
        with state.lock:
            log = state.log
            if desc:
                return log.read(0, log.end if after is None else log.number(after), limit, filter, desc=True)
            return log.read(0 if after is None else log.number(after) + 1, log.end, limit, filter, desc=False)

    def tail(self, *, after: str | None = None, filter: EventFilter | None = None) -> AsyncIterator[Event]:
        state = self._state
        with state.lock:
            return self._follow(state.log.end if after is None else state.log.number(after) + 1, filter)

    async def trim(self, before: int, limit: int = 1000) -> int:
        state = self._state
        with state.lock:
            return state.log.trim(before, limit)

    async def _follow(self, start: int, where: EventFilter | None) -> AsyncIterator[Event]:
        state, log = self._shared, self._shared.log
        while self._open:
            waiter = None
            with state.lock:
                stop = log.end
                events = log.read(start, stop, _PAGE, where, desc=False)
                start = stop if len(events) < _PAGE else int(events[-1].position or 0) + 1
                if not events:
                    waiter = Waiter()
                    log.board.add(_ANY, waiter)
            for event in events:
                yield event
            if waiter is not None:
                await self._sleep(log.board, _ANY, waiter, None)
