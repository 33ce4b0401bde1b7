"""Redis for all four roles."""

from __future__ import annotations

from typing import ClassVar

from omniq.backend.single import SingleBackend

__all__ = ["RedisBackend"]


class RedisBackend(SingleBackend):
    """Keeps all four roles in a Redis or Valkey server.

    Args:
        url: Such as `redis://localhost:6379/0`.
        options: The options of the `redis` backend.
    """

    backend_type: ClassVar[str] = "redis"

    __slots__ = ()
