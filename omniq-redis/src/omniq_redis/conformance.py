"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

import msgpack  # type: ignore[import-untyped]
import redis

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_conformance.servers import Cluster, Server, cluster
from omniq_redis import plugin
from omniq_redis.greeting import FORMAT
from omniq_redis.server import namespace_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RedisClusterHarness", "RedisHarness", "ValkeyClusterHarness", "ValkeyHarness"]

_GOLDEN = Path(__file__).parents[2] / "golden"  # in the source tree, and not in the wheel
_SAVED = "keys.msgpack"
_FORMED = 30.0


class ValkeyHarness(Harness):
    """A namespace is a key prefix."""

    backend = "redis"
    server_kind: ClassVar[str | None] = "valkey"
    server_options: ClassVar[Mapping[str, Any]] = {"appendfsync": "always"}
    golden = _GOLDEN if _GOLDEN.is_dir() else None

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the keys of the namespace."""
        options = {"key_prefix": namespace}
        return await open_plugin(plugin, BackendConfig(backend_type="redis", url=self.url, options=options))

    async def destroy(self, namespace: str) -> None:
        """Remove its keys."""
        with self._client() as client:
            keys = list(client.scan_iter(_prefix(namespace) + b"*", 1000))
            if keys:
                client.unlink(*keys)

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Read the hashes and the streams."""
        prefix = _prefix(namespace)
        with self._client() as client:
            kept = {
                name: [key.decode() for key in client.hkeys(prefix + key.encode())]
                for name, key in (
                    ("tasks", "ids"),
                    ("results", "results"),
                    ("schedules", "schedules"),
                    ("unique", "unique"),
                )
            }
            bodies = [seq for key in client.scan_iter(prefix + b"bodies:*", 1000) for seq in client.hkeys(key)]
            events = [fields[b"e"] for _, fields in client.xrange(prefix + b"log")]
            outbox = client.hvals(prefix + b"outbox-entries")
        return {**kept, "bodies": [seq.decode() for seq in bodies], "events": _named(events), "outbox": _named(outbox)}

    async def save(self, namespace: str, folder: Path) -> None:
        """Write every key with its type and its content; not as the server dumps it, which only newer servers read."""
        prefix = _prefix(namespace)
        with self._client() as client:
            keys = [(key[len(prefix) :], *_content(client, key)) for key in client.scan_iter(prefix + b"*", 1000)]
        (folder / _SAVED).write_bytes(msgpack.packb(sorted(keys)))

    async def restore(self, namespace: str, folder: Path) -> None:
        """Write the keys under the prefix of the namespace."""
        with self._client() as client:
            for key, kind, content in msgpack.unpackb((folder / _SAVED).read_bytes()):
                _fill(client, _prefix(namespace) + key, kind, content)

    async def make_newer(self, namespace: str) -> None:
        """Raise the numbers of the format."""
        with self._client() as client:
            client.hset(_prefix(namespace) + b"meta", mapping={"format": FORMAT + 1, "min_writer": FORMAT + 1})

    def _client(self) -> Any:
        return redis.Redis.from_url(self.url or "")


class RedisHarness(ValkeyHarness):
    """The same on Redis."""

    server_kind = "redis"


class ValkeyClusterHarness(ValkeyHarness):
    """The same on three nodes, of which one has the slot of a namespace."""

    backend = "redis"
    server_kind = None
    product: ClassVar[str] = "valkey"

    def __enter__(self) -> Self:
        if self.url is None:
            self.server = _WholeCluster(cluster(self.product, **self.server_options))
            self.url = self.server.url
        return self

    def __init__(self, url: str | None = None) -> None:
        super().__init__(url)
        self._map: Mapping[str, str] = {}

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the keys of the namespace, for which one of the nodes is responsible."""
        first, *others = _urls(self.url)
        nodes = [_address(url) for url in others]
        options = {"key_prefix": namespace, "nodes": nodes, "address_map": self._map}
        return await open_plugin(plugin, BackendConfig(backend_type="redis", url=first, options=options))

    def at(self, url: str) -> Self:
        """Return one that reaches every node through another url; what nodes tell are still their own addresses."""
        other = super().at(url)
        pairs = zip(_urls(self.url), _urls(url), strict=True)
        other._map = {_address(told): _address(real) for told, real in pairs}  # noqa: SLF001 - a copy
        return other

    def _client(self) -> Any:
        return redis.RedisCluster.from_url(_urls(self.url)[0].removesuffix("/0"))


class RedisClusterHarness(ValkeyClusterHarness):
    """The same on three nodes of Redis."""

    product: ClassVar[str] = "redis"


class _WholeCluster(Server):
    """All nodes of a cluster as one server."""

    kind = "valkey-cluster"

    def __init__(self, nodes: Cluster) -> None:
        self._cluster = nodes
        self.url = nodes.url

    @property
    def version(self) -> str:
        return f"{self._cluster.version}, {len(self._cluster.nodes)} nodes"

    def kill(self) -> None:
        for node in self._cluster.nodes:
            node.kill()

    def restart(self) -> None:
        for node in self._cluster.nodes:
            node.restart()
        until = time.monotonic() + _FORMED
        while not all(map(_is_formed, self._cluster.nodes)) and time.monotonic() < until:
            time.sleep(0.02)

    def pause(self) -> None:
        for node in self._cluster.nodes:
            node.pause()

    def resume(self) -> None:
        for node in self._cluster.nodes:
            node.resume()

    def stop(self) -> None:
        self._cluster.stop()


def _urls(url: str | None) -> Sequence[str]:
    return (url or "").split(",")


def _address(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _is_formed(node: Server) -> bool:
    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(node.url) as client:
        info = str(client.execute_command("CLUSTER", "INFO"))
        return "cluster_state:ok" in info or "'cluster_state': 'ok'" in info
    return False


def _named(events: Sequence[bytes]) -> list[str]:
    fields = (msgpack.unpackb(event, raw=True) for event in events)
    return [f"{task_id.decode()}/{version}" for task_id, _, version, *_ in fields]


def _prefix(namespace: str) -> bytes:
    return namespace_of(namespace, "omniq")


def _content(client: Any, key: bytes) -> tuple[str, Any]:
    kind = client.type(key).decode()
    if kind == "hash":
        return kind, sorted(client.hgetall(key).items())
    if kind == "zset":
        return kind, client.zrange(key, 0, -1, withscores=True)
    if kind == "set":
        return kind, sorted(client.smembers(key))
    return kind, [(position, fields[b"e"]) for position, fields in client.xrange(key)]


def _fill(client: Any, key: bytes, kind: str, content: Any) -> None:
    if kind == "hash":
        client.hset(key, mapping=dict(content))
    elif kind == "zset":
        client.zadd(key, dict(content))
    elif kind == "set":
        client.sadd(key, *content)
    else:
        for position, event in content:
            client.xadd(key, {"e": event}, id=position)
