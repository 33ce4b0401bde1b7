"""Several servers of this host that make up one cluster: Valkey, Redis and NATS."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.servers.given import read_until
from omniq_conformance.servers.nats import NatsServer
from omniq_conformance.servers.private import PrivateServer, ServerError, free_port
from omniq_conformance.servers.server import Stoppable
from omniq_conformance.servers.valkey import RedisServer, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from omniq_conformance.servers.binaries import Binary

__all__ = ["CLUSTERS", "Cluster"]

_FORMED = 30.0
_SLOTS = 16_384


@attrs.frozen
class Cluster(Stoppable):
    """A running cluster; each of its nodes can be killed, restarted and paused by itself.

    Attributes:
        nodes: The servers.
    """

    nodes: Sequence[PrivateServer]

    @property
    def url(self) -> str:
        """Where the nodes are, separated by commas."""
        return ",".join(node.url for node in self.nodes)

    @property
    def version(self) -> str:
        """Product and version of the nodes."""
        return self.nodes[0].version

    def stop(self) -> None:
        """End every node and remove its data; stopping twice is harmless."""
        for node in self.nodes:
            node.stop()


def _form(
    nodes: int,
    make: Callable[[int], PrivateServer],
    join: Callable[[Sequence[PrivateServer]], None],
    is_formed: Callable[[PrivateServer, int], bool],
) -> Cluster:
    """Start the nodes, make them know each other, and wait until every one says that the cluster works."""
    with contextlib.ExitStack() as started:
        cluster = Cluster([started.enter_context(make(number)) for number in range(nodes)])
        join(cluster.nodes)
        until = time.monotonic() + _FORMED
        while not all(is_formed(node, nodes) for node in cluster.nodes):
            if time.monotonic() > until:
                msg = f"{nodes} servers {cluster.version} made no cluster within {_FORMED:.0f} s."
                raise ServerError(msg)
            time.sleep(0.02)
        started.pop_all()
    return cluster


# Valkey and Redis


def _valkey_cluster(kind: type[ValkeyServer], binary: Binary, nodes: int, options: Mapping[str, Any]) -> Cluster:
    def make(_: int) -> ValkeyServer:
        own = {"cluster-enabled": "yes", "cluster-port": free_port(), "cluster-node-timeout": 1000}
        return kind(binary, {**own, **options})

    return _form(nodes, make, _meet, _is_valkey_formed)


def _meet(nodes: Sequence[PrivateServer]) -> None:
    """Give every node its part of the slots, and introduce the others to the first one."""
    bounds = [_SLOTS * number // len(nodes) for number in range(len(nodes) + 1)]
    for node, first, end in zip(nodes, bounds, bounds[1:], strict=False):
        _order(node, f"CLUSTER ADDSLOTSRANGE {first} {end - 1}")
    for number, node in enumerate(nodes):
        _order(node, f"CLUSTER SET-CONFIG-EPOCH {number + 1}")
    for node in nodes[1:]:
        _order(nodes[0], f"CLUSTER MEET 127.0.0.1 {node.port} {node.options['cluster-port']}")


def _order(node: PrivateServer, command: str) -> None:
    told = _ask(node, f"{command}\r\n".encode(), rb"\r\n")
    if not told.startswith(b"+OK"):
        msg = f"{node.version} answered {told!r} to {command}."
        raise ServerError(msg)


def _is_valkey_formed(node: PrivateServer, nodes: int) -> bool:
    told = _ask(node, b"CLUSTER INFO\r\n", rb"cluster_known_nodes:\d+\r\n|^-")
    return b"cluster_state:ok" in told and b"cluster_known_nodes:%d\r\n" % nodes in told


# NATS


def _nats_cluster(binary: Binary, nodes: int, options: Mapping[str, Any]) -> Cluster:
    ports = [free_port() for _ in range(nodes)]
    routes = [f"nats://127.0.0.1:{port}" for port in ports]

    def make(number: int) -> NatsServer:
        listen = {"name": "conformance", "listen": f"127.0.0.1:{ports[number]}", "routes": routes}
        return NatsServer(binary, {"server_name": f"node-{number}", "cluster": listen, **options})

    return _form(nodes, make, lambda _: None, _is_nats_formed)


def _is_nats_formed(node: PrivateServer, nodes: int) -> bool:
    """Ask JetStream for its account, which it tells once the nodes have elected a leader."""
    del nodes
    request = b'CONNECT {"verbose":false}\r\nSUB answer 1\r\nPUB $JS.API.INFO answer 0\r\n\r\nPING\r\n'
    return b'"streams"' in _ask(node, request, rb'"streams"|"error"')


def _ask(node: PrivateServer, request: bytes, pattern: bytes) -> bytes:
    """Send a request and return what comes, until the pattern was there or nothing came for half a second."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", node.port), 0.5) as connection:
        connection.sendall(request)
        return read_until(connection, pattern)
    return b""


CLUSTERS: Mapping[str, Callable[[Binary, int, Mapping[str, Any]], Cluster]] = {
    "nats": _nats_cluster,
    "redis": lambda binary, nodes, options: _valkey_cluster(RedisServer, binary, nodes, options),
    "valkey": lambda binary, nodes, options: _valkey_cluster(ValkeyServer, binary, nodes, options),
}
"""Makes a cluster of each kind that has such a thing."""
