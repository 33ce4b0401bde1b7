"""NATS for all four roles."""

from __future__ import annotations

from typing import ClassVar

from omniq.backend.single import SingleBackend

__all__ = ["NATSBackend"]


class NATSBackend(SingleBackend):
    """Keeps all four roles in NATS JetStream.

    Args:
        url: Such as `nats://localhost:4222`.
        options: The options of the `nats` backend.
    """

    backend_type: ClassVar[str] = "nats"

    __slots__ = ()
