"""The server that a backend needs: a private one that is gone afterwards, or the one at `--url`."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

KINDS = {"nats": ("nats",), "postgres": ("postgres",), "redis": ("valkey", "redis")}
"""The kinds of servers that each backend can work with, the usual one first."""

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
"""Of PostgreSQL: what a server with some memory has; everything else is its default."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="use this server instead of a private one")
    parser.add_argument("--server", help="the kind of the private server, such as redis instead of valkey")
    parser.add_argument("--aof", choices=["no", "everysec", "always"], default="everysec", help="of Redis and Valkey")


@contextlib.contextmanager
def served(options: argparse.Namespace) -> Iterator[None]:
    """Name the server in BENCH_URL while it runs."""
    kinds = KINDS.get(options.backend)
    if kinds is None:
        yield
        return
    if options.url:
        os.environ["BENCH_URL"] = options.url
        yield
        return
    from omniq_conformance import servers

    kind = options.server or kinds[0]
    settings = {} if kind == "nats" else SETTINGS if kind == "postgres" else append_only(options.aof)
    with servers.start(kind, **settings) as server:
        os.environ["BENCH_URL"] = server.url
        print(server.version, *(f"{name}={value}" for name, value in settings.items()))
        yield


def append_only(policy: str) -> dict[str, str]:
    return {"appendonly": "no"} if policy == "no" else {"appendonly": "yes", "appendfsync": policy}
