"""The event storage role on LMDB."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

from omniq.errors import ConfigError
from omniq.storage.events import EventStorage
from omniq_lmdb.codec import digest, dump_event, load_event, number
from omniq_lmdb.role import LmdbRole
from omniq_lmdb.store import PAST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omniq.models.event import Event, EventFilter
    from omniq_lmdb.store import Transaction

__all__ = ["LmdbEventStorage", "append_event"]

_PAGE = 1000
_PATIENCE = 3600.0


def append_event(tx: Transaction, event: Event) -> bool:
    """Append an event unless it is known."""
    known = digest(event.event_id)
    if tx.get("event_ids", known) is not None:
        return False
    position = number(tx.next("position"))
    tx.put("events", position, dump_event(event))
    for table, key in _entries(event, position):
        tx.put(table, key, position)
    return True


class LmdbEventStorage(LmdbRole, EventStorage):
    """The log by position. There is one writer at a time, so positions are in the order of commits."""

    async def append(self, events: Sequence[Event]) -> int:
        return await self._write(lambda tx: sum(append_event(tx, event) for event in events))

    async def read(
        self, *, after: str | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[Event]:
        bound = None if after is None else _position(after)
        return await self._read(lambda tx: _page(tx, bound, limit, filter, desc=desc))

    async def tail(self, *, after: str | None = None, filter: EventFilter | None = None) -> AsyncIterator[Event]:
        position = await self._read(lambda tx: tx.last("position")) if after is None else _position(after)

        async def look() -> tuple[list[Event] | None, float]:
            found = await self._read(lambda tx: _page(tx, position, _PAGE, filter, desc=False))
            return found or None, _PATIENCE

        while self._store is not None:
            for event in await self._until(look, _PATIENCE) or ():
                position = int(event.position or position)
                yield event

    async def trim(self, before: int, limit: int = 1000) -> int:
        def run(tx: Transaction) -> int:
            old = (position for _, position in tx.scan("event_times", stop=number(before)))
            gone = heapq.nsmallest(limit, old)
            for position in gone:
                event = load_event(tx.get("events", position) or b"")
                tx.delete("events", position)
                for table, key in _entries(event, position):
                    tx.delete(table, key)
            return len(gone)

        return await self._write(run)


def _entries(event: Event, position: bytes) -> list[tuple[str, bytes]]:
    return [
        ("event_ids", digest(event.event_id)),
        ("event_times", number(event.at) + position),
        ("task_events", digest(event.task_id) + position),
    ]


def _page(tx: Transaction, after: int | None, limit: int, where: EventFilter | None, *, desc: bool) -> list[Event]:
    table, task = "events", b""
    if where is not None and where.task_id is not None:
        table, task = "task_events", digest(where.task_id)
    start, stop = task, task + PAST
    if after is not None:
        start, stop = (task, task + number(after)) if desc else (task + number(after + 1), stop)
    positions = (key[len(task) :] for key, _ in tx.scan(table, start, stop, desc=desc))
    events = (load_event(tx.get("events", position) or b"", position) for position in positions)
    return list(islice((event for event in events if where is None or where.matches(event)), max(limit, 0)))


def _position(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigError(
            f"after: {text!r} is not a position of this event storage; pass an Event.position that it gave."
        )
    return int(text)
