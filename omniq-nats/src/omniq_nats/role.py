"""What the four roles on NATS share: one store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import StoreClosedError
from omniq.storage.role import Storage

if TYPE_CHECKING:
    from omniq.storage.capabilities import Capabilities
    from omniq_nats.store import Store

__all__ = ["NatsRole"]


class NatsRole(Storage):
    """A role on a store that other roles of the same configuration use too.

    Attributes:
        store: The connection, and what is known.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._open = False

    async def open(self) -> None:
        if not self._open:
            await self.store.open()
            self._open = True

    async def close(self) -> None:
        if self._open:
            self._open = False
            await self.store.close()

    async def time(self) -> int:
        """Return the store's clock in milliseconds since the epoch, UTC."""
        return await self._opened.time(None)

    @property
    def _opened(self) -> Store:
        """The store, if this role may use it."""
        if not self._open:
            raise StoreClosedError("This storage is not open. Open it first: async with app, or await storage.open().")
        self.store.check_open()
        return self.store

    @property
    def capabilities(self) -> Capabilities:
        return self.store.capabilities
