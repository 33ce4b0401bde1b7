"""What the four roles on Redis share: one server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import StoreClosedError
from omniq.storage.role import Storage

if TYPE_CHECKING:
    from omniq.storage.capabilities import Capabilities
    from omniq_redis.server import Server

__all__ = ["RedisRole"]


class RedisRole(Storage):
    """A role on a server that other roles of the same configuration use too.

    Attributes:
        server: The connections.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._open = False

    async def open(self) -> None:
        if not self._open:
            await self.server.open()
            self._open = True

    async def close(self) -> None:
        if self._open:
            self._open = False
            self.server.bell.wake()
            await self.server.close()

    @property
    def _opened(self) -> Server:
        """The connections, if this role may use them."""
        if not self._open:
            raise StoreClosedError("This storage is not open. Open it first: async with app, or await storage.open().")
        return self.server

    @property
    def capabilities(self) -> Capabilities:
        return self.server.capabilities
