"""What the four roles on NATS share: one store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from omniq.errors import StoreClosedError
from omniq.storage.role import Storage

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from omniq.storage.capabilities import Capabilities
    from omniq_nats.store import Store

__all__ = ["NatsRole"]

T = TypeVar("T")


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
        else:
            await self.store.ended()  # that of a call that was cancelled

    async def time(self) -> int:
        """Return the store's clock in milliseconds since the epoch, UTC."""
        return await self._opened.time(None)

    async def _whole(self, call: Coroutine[Any, Any, T]) -> T:
        """Make a call that changes something, which is not left half done if its caller is cancelled."""
        try:
            store = self._opened
        except BaseException:
            call.close()
            raise
        return await store.whole(call)

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
