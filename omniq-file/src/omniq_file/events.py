"""The event storage role on files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import ConfigError
from omniq.storage.events import EventStorage
from omniq_file.bells import EVENTS
from omniq_file.machine.event_table import ranges_of
from omniq_file.machine.stored import row_of
from omniq_file.role import FileRole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omniq.models.event import Event, EventFilter
    from omniq_file.machine.transaction import Transaction

__all__ = ["FileEventStorage"]

_PAGE = 1000
_PATIENCE = 3600.0


class FileEventStorage(FileRole, EventStorage):
    """Events by their number, which is the position."""

    async def append(self, events: Sequence[Event]) -> int:
        def run(tx: Transaction) -> int:
            count = 0
            for event in events:
                if not tx.view.events.knows(event):
                    tx.event(row_of(event))
                    count += 1
            return count

        return await self._ask(run, writes=True)

    async def read(
        self, *, after: str | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[Event]:
        bound = None if after is None else _number(after)
        return await self._ask(lambda tx: tx.view.events.read(bound, limit, filter, desc=desc))

    async def tail(self, *, after: str | None = None, filter: EventFilter | None = None) -> AsyncIterator[Event]:
        if after is None:
            start = await self._ask(lambda tx: tx.view.events.end - 1)
        else:
            start = _number(after)

        def look(tx: Transaction) -> tuple[tuple[list[Event], int] | None, float]:
            table = tx.view.events
            found = table.read(start, _PAGE, filter, desc=False)
            last = table.end - 1 if len(found) < _PAGE else int(found[-1].position or 0)
            return ((found, last) if found or last > start else None), _PATIENCE

        while self._store is not None:
            answer = await self._until([EVENTS], look, _PATIENCE)
            if answer is not None:
                found, start = answer
                for event in found:
                    yield event

    async def trim(self, before: int, limit: int = 1000) -> int:
        def run(tx: Transaction) -> int:
            old = tx.view.events.old(before, limit)
            tx.trim(ranges_of(old))
            return len(old)

        return await self._ask(run, writes=True)


def _number(position: str) -> int:
    if not position.isascii() or not position.isdecimal():
        raise ConfigError(
            f"after: {position!r} is not a position of this event storage; pass an Event.position that it gave."
        )
    return int(position)
