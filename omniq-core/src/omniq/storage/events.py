"""The event storage role."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from omniq.storage.role import Storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omniq.models.event import Event, EventFilter

__all__ = ["EventStorage"]


class EventStorage(Storage):
    """The append-only lifecycle log, totally ordered.

    Positions are opaque text. If one append returned before another began, its positions are smaller, and a reader
    that has read up to a position never later finds an event at or before it.
    """

    @abstractmethod
    async def append(self, events: Sequence[Event]) -> int:
        """Append in the given order each event whose `event_id` is not known yet; return how many were new.

        Repeating a call is harmless. Readers see the events of a batch in the batch's order.
        """

    @abstractmethod
    async def read(
        self, *, after: str | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[Event]:
        """Return events past the position `after`, in order, at most `limit`, each with its `position`.

        With `desc` the newest come first and `after` means before that position.

        Raises:
            ConfigError: `after` is not a position of this storage.
        """

    @abstractmethod
    def tail(self, *, after: str | None = None, filter: EventFilter | None = None) -> AsyncIterator[Event]:
        """Yield events past `after` (None: from now on) as they are appended, without end, in order, none left out.

        Ends when the storage is closed.
        """

    @abstractmethod
    async def trim(self, before: int, limit: int = 1000) -> int:
        """Remove the first `limit` events by position with `at` < `before`, and return how many there were.

        A removed event is not known any more, so appending it again adds it.
        """
