"""The event storage role on Redis."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from omniq.errors import ConfigError, StorageError, StoreClosedError
from omniq.storage.events import EventStorage
from omniq_redis.bell import EVENTS
from omniq_redis.records import event_filter, event_from, event_values
from omniq_redis.role import RedisRole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omniq.models.event import Event, EventFilter

__all__ = ["RedisEventStorage"]

_POSITION = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
_PAGE = 500
_LOOK_AGAIN = 1.0


class RedisEventStorage(RedisRole, EventStorage):
    """The log in a stream; a position is the id of an entry."""

    async def append(self, events: Sequence[Event]) -> int:
        if not events:
            self.opened.check_open()
            return 0
        values = [event_values(event) for event in events]
        parts = [values[start : start + _PAGE] for start in range(0, len(values), _PAGE)]
        return sum(await self.opened.run_all("append", parts))

    async def read(
        self, *, after: str | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[Event]:
        wanted = event_filter(filter)
        cursor: str | bytes | bool = False if after is None else _checked(after)
        found: list[Event] = []
        while len(found) < limit:
            cursor, pairs = await self.opened.run("read", [cursor, limit - len(found), desc, wanted])
            found += [event_from(packed, position) for position, packed in pairs]
            if cursor is False:
                break
        return found

    def tail(self, *, after: str | None = None, filter: EventFilter | None = None) -> AsyncIterator[Event]:
        return self._tail(None if after is None else _checked(after), filter)

    async def _tail(self, position: str | None, wanted: EventFilter | None) -> AsyncIterator[Event]:
        server = self.opened
        if position is None:
            position = (await server.run("last_event", None)).decode()
        bell = server.bell
        while self.is_open:
            with bell.waiting(EVENTS) as rung:
                await bell.follow_log()
                try:
                    end = (await server.run("last_event", None)).decode()
                    found = await self.read(after=position, limit=_PAGE, filter=wanted)
                except StoreClosedError:
                    return
                except StorageError:
                    await asyncio.sleep(_LOOK_AGAIN)
                    continue
                for event in found:
                    yield event
                if len(found) == _PAGE:
                    position = found[-1].position or position
                    continue
                # Whatever the filter passed over need not be looked at again.
                position = max(position, end, found[-1].position if found else end, key=_order)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN):
                        await rung.wait()

    async def trim(self, before: int, limit: int = 1000) -> int:
        total = 0
        cursor: bytes | bool = False
        while total < limit:
            cursor, removed = await self.opened.run("trim", [before, limit - total, cursor])
            total += removed
            if cursor is False:
                break
        return total


def _order(position: str) -> tuple[int, int]:
    first, _, second = position.partition("-")
    return int(first), int(second)


def _checked(position: str) -> str:
    if _POSITION.fullmatch(position) is None:
        raise ConfigError(
            f"after: {position!r} is not a position of this event storage; pass an Event.position that it gave."
        )
    return position
