"""The event storage role on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from omniq.errors import ConfigError, StorageError, StoreClosedError
from omniq.storage.events import EventStorage
from omniq_postgres.bell import EVENTS
from omniq_postgres.filters import event_query
from omniq_postgres.role import PostgresRole
from omniq_postgres.rows import EVENT_COLUMNS, columns, event_from, event_values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omniq.models.event import Event, EventFilter

__all__ = ["PostgresEventStorage"]

_POSITION = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_PAGE = 1000
_LOOK_AGAIN = 1.0
_WIDTH = EVENT_COLUMNS.count(",") + 1
_COLUMNS = ", ".join(f"e.{name}" for name in EVENT_COLUMNS.split(", "))
_MARKS = ", ".join(f"${number}" for number in range(1, _WIDTH + 1))


class PostgresEventStorage(PostgresRole, EventStorage):
    """The log in the table `event`; a position is that of a batch, and the place in it."""

    async def append(self, events: Sequence[Event]) -> int:
        values = columns(map(event_values, events), _WIDTH)
        ((added,),) = await self.opened.write(f"SELECT omniq.append({_MARKS})", *values, kinds=EVENTS)
        return int(added)

    async def read(
        self, *, after: str | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[Event]:
        position = None if after is None else _checked(after)
        await self._sequence()
        return await self._read(position, limit, filter, desc=desc)

    async def _sequence(self) -> int:
        """Put what was committed into order, and return the last position."""
        ((last,),) = await self.opened.read("SELECT omniq.sequence()")  # repeating it is harmless
        return int(last)

    async def _read(
        self, after: tuple[int, int] | None, limit: int, wanted: EventFilter | None, *, desc: bool = False
    ) -> list[Event]:
        query = event_query(wanted)
        order = "DESC" if desc else "ASC"
        if after is not None:
            than = "<" if desc else ">"
            query.add(f"o.pos {than}= {{0}} AND (o.pos {than} {{0}} OR e.n {than} {{1}})", *after)
        rows = await self.opened.read(
            f"SELECT {_COLUMNS}, o.pos, e.n FROM omniq.event_order AS o JOIN omniq.event AS e ON e.batch = o.batch "
            f"WHERE {query.condition} ORDER BY o.pos {order}, e.n {order} LIMIT {query.mark(limit)}",
            *query.parameters,
        )
        return [event_from(row[:_WIDTH], f"{row[-2]}-{row[-1]}") for row in map(tuple, rows)]

    def tail(self, *, after: str | None = None, filter: EventFilter | None = None) -> AsyncIterator[Event]:
        return self._tail(None if after is None else _checked(after), filter)

    async def _tail(self, position: tuple[int, int] | None, wanted: EventFilter | None) -> AsyncIterator[Event]:
        bell = self.opened.bell
        await bell.listen()
        if position is None:
            position = (await self._sequence(), 10**17)
        while self.is_open:
            with bell.waiting(EVENTS) as rung:
                await bell.listen()
                try:
                    end = await self._sequence()
                    found = await self._read(position, _PAGE, wanted)
                except StoreClosedError:
                    return
                except StorageError:
                    await asyncio.sleep(_LOOK_AGAIN)
                    continue
                for event in found:
                    yield event
                if found:
                    position = _checked(found[-1].position or "")
                if len(found) == _PAGE:
                    continue
                # Whatever the filter passed over need not be looked at again.
                position = max(position, (end, 10**17))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN):
                        await rung.wait()

    async def trim(self, before: int, limit: int = 1000) -> int:
        await self._sequence()
        ((trimmed,),) = await self.opened.write("SELECT omniq.trim($1, $2)", before, limit)
        return int(trimmed)


def _checked(position: str) -> tuple[int, int]:
    found = _POSITION.fullmatch(position)
    if found is None:
        raise ConfigError(
            f"after: {position!r} is not a position of this event storage; pass an Event.position that it gave."
        )
    return int(found[1]), int(found[2])
