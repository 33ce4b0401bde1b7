"""What the four roles on Redis share: one server."""

from __future__ import annotations

from omniq.storage.shared import SharedRole
from omniq_redis.server import Server

__all__ = ["RedisRole"]


class RedisRole(SharedRole[Server]):
    """A role on a server that other roles of the same configuration use too."""

    def leaving(self) -> None:
        self.shared.bell.wake()
