"""What the four roles on Redis share: one server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.storage.role import Storage

if TYPE_CHECKING:
    from omniq.storage.capabilities import Capabilities
    from omniq_redis.connection import Server

__all__ = ["RedisRole"]


class RedisRole(Storage):
    """A role on a server that other roles of the same configuration use too."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._open = False

    async def open(self) -> None:
        if not self._open:
            await self._server.open()
            self._open = True

    async def close(self) -> None:
        if self._open:
            self._open = False
            await self._server.close()

    @property
    def capabilities(self) -> Capabilities:
        return self._server.capabilities
