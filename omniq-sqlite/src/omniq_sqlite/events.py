"""The event storage role on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import ConfigError
from omniq.storage.events import EventStorage
from omniq_sqlite.filters import event_conditions
from omniq_sqlite.role import SQLiteRole
from omniq_sqlite.rows import EVENT_COLUMNS, event_from, event_values
from omniq_sqlite.wake import EVENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omniq.models.event import Event, EventFilter

__all__ = ["SQLiteEventStorage"]

_MARKS = ", ".join("?" * (EVENT_COLUMNS.count(",") + 1))
_ADD = f"INSERT OR IGNORE INTO event ({EVENT_COLUMNS}) VALUES ({_MARKS})"
_PAGE = 1000
_PATIENCE = 3600.0


class SQLiteEventStorage(SQLiteRole, EventStorage):
    """The log in the table `event`. Writers are serial, so its rowids are in commit order."""

    async def append(self, events: Sequence[Event]) -> int:
        rows = [event_values(event) for event in events]
        return await self.opened.write(lambda connection: connection.executemany(_ADD, rows).rowcount, EVENTS)

    async def read(
        self, *, after: str | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[Event]:
        condition, parameters = event_conditions(filter)
        if after is not None:
            condition += f" AND pos {'<' if desc else '>'} :after"
            parameters["after"] = _position(after)
        rows = await self.opened.read(
            f"SELECT pos, {EVENT_COLUMNS} FROM event WHERE {condition} "
            f"ORDER BY pos {'DESC' if desc else 'ASC'} LIMIT :limit",
            {**parameters, "limit": limit},
        )
        return [event_from(row) for row in rows]

    async def tail(self, *, after: str | None = None, filter: EventFilter | None = None) -> AsyncIterator[Event]:
        if after is None:
            ((after,),) = await self.opened.read(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'event'"
            )
        position = str(after)

        async def look() -> tuple[list[Event] | None, float]:
            return await self.read(after=position, limit=_PAGE, filter=filter) or None, _PATIENCE

        while self.is_open:
            for event in await self.opened.wait_until(EVENTS, look, _PATIENCE) or ():
                position = event.position or position
                yield event

    async def trim(self, before: int, limit: int = 1000) -> int:
        return await self.opened.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM event WHERE pos IN (SELECT pos FROM event WHERE at < ? ORDER BY pos LIMIT ?)",
                    (before, limit),
                ).rowcount
            )
        )


def _position(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigError(
            f"after: {text!r} is not a position of this event storage; pass an Event.position that it gave."
        )
    return int(text)
