"""The NATS JetStream backend of OmniQ."""

from __future__ import annotations

__all__: list[str] = []
