"""What the four roles on NATS share: one store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from omniq.storage.shared import SharedRole
from omniq_nats.store import Store

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["NatsRole"]

T = TypeVar("T")


class NatsRole(SharedRole[Store]):
    """A role on a store that other roles of the same configuration use too."""

    def leaving(self) -> None:
        self.shared.view.wake()

    async def time(self) -> int:
        """Return the store's clock in milliseconds since the epoch, UTC."""
        return await self.opened.time(None)

    async def whole(self, call: Coroutine[Any, Any, T]) -> T:
        """Make a call that changes something, which is not left half done if its caller is cancelled."""
        try:
            store = self.opened
        except BaseException:
            call.close()
            raise
        return await store.whole(call)
