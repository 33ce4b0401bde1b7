"""Real servers for tests: private, on a free port of this host, gone afterwards; no Docker and no root needed."""

from __future__ import annotations

from typing import Any

from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.servers.server import Server

__all__ = ["Server", "start"]


def start(kind: str, **options: Any) -> Server:
    """Start a server.

    Args:
        kind: Which one.
        options: Settings of it, by their names in its configuration.

    Raises:
        UnverifiedError: Its binary is not installed here; the message says what to install.
        ValueError: There is no such kind.
    """
    del options
    msg = f"There is no server {kind!r}."
    raise UnverifiedError(msg)
