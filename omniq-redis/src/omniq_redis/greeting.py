"""What is looked at when a server is opened: version, eviction, persistence, replicas, and the namespace's format."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from omniq.errors import ConfigError, StoreFormatError
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq_redis.failures import refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq_redis.server import Server

__all__ = ["FORMAT", "greet", "read_info"]

FORMAT = 1
MIN_READER = 1
MIN_WRITER = 1
_OLDEST = (7, 0)
_WAITAOF = (7, 2)
_MAX_PAYLOAD = 32 * 1024 * 1024


async def greet(server: Server) -> Capabilities:
    """Look at a server and make the namespace if there is none.

    Raises:
        ConfigError: The server is too old, may evict keys, or lacks what the options ask for.
        StoreFormatError: A newer version of this backend has changed the format of the namespace.
    """
    info = await read_info(server)
    if info.get("cluster_enabled") == "1":
        server.pool.is_cluster = True
        await server.run("time", None)  # which finds the node that has the namespace's slot
        info = await read_info(server)
    product, version = product_of(info)
    if _numbers(info.get("redis_version", "0")) < _OLDEST:
        raise ConfigError(f"{product} {version} is too old: scripts need Redis 7.0, or any Valkey. Upgrade the server.")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not server.options.allow_eviction:
        raise ConfigError(
            f"The server at {server.where} has maxmemory-policy {policy!r}: it deletes tasks when its memory is full. "
            "Run: redis-cli CONFIG SET maxmemory-policy noeviction; or set allow_eviction if losing tasks is fine."
        )
    if server.options.wait_aof and _numbers(info.get("redis_version", "0")) < _WAITAOF:
        raise ConfigError(f"wait_aof: {product} {version} has no WAITAOF, which came with Redis 7.2. Leave it out.")
    found, needed, identity = await server.run("open", [FORMAT, MIN_READER, MIN_WRITER, secrets.token_hex(16)])
    if found > FORMAT and needed > FORMAT:
        raise StoreFormatError(
            f"The namespace {server.prefix.decode()} has format {found}, which needs a writer of at least format "
            f"{needed}; this omniq-redis writes format {FORMAT}. Upgrade with: pip install --upgrade omniq-redis"
        )
    fsync = await _fsync_policy(server) if info.get("aof_enabled") == "1" else None
    return Capabilities(
        durability=_durability(server, info, fsync),
        scope=Scope.CLUSTER,
        push=True,
        transaction_domain=f"redis:{identity.decode()}",
        max_wait_ms=1000,
        max_payload_bytes=_MAX_PAYLOAD,
        server_version=f"{product} {version}",
        warnings=tuple(_warnings(info, fsync, policy)),
    )


async def read_info(server: Server) -> Mapping[str, str]:
    """Return what INFO tells."""
    (reply,) = await server.execute([("INFO",)])
    if isinstance(reply, Exception):
        raise refused(reply) from reply  # type: ignore[arg-type]
    pairs = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in pairs if colon}


def product_of(info: Mapping[str, str]) -> tuple[str, str]:
    """Return name and version of the server program."""
    if "valkey_version" in info:
        return "Valkey", info["valkey_version"]
    return "Redis", info.get("redis_version", "of an unknown version")


async def _fsync_policy(server: Server) -> str:
    """Return `appendfsync`; `unknown` where CONFIG is not allowed, as in managed services."""
    (reply,) = await server.execute([("CONFIG", "GET", "appendfsync")])
    return reply[1].decode() if isinstance(reply, list) and len(reply) == 2 else "unknown"  # noqa: PLR2004 - name, value


def _durability(server: Server, info: Mapping[str, str], fsync: str | None) -> Durability:
    if server.options.wait_replicas and int(info.get("connected_slaves", 0)) >= server.options.wait_replicas:
        return Durability.REPLICATED
    if fsync is None:
        return Durability.NONE
    return Durability.OS_CRASH if fsync == "always" or server.options.wait_aof else Durability.PROCESS_CRASH


def _warnings(info: Mapping[str, str], fsync: str | None, policy: str) -> list[str]:
    found = []
    if policy != "noeviction":
        found.append(f"The server evicts keys ({policy}) when its memory is full: tasks get lost.")
    if fsync is None:
        found.append("The server has no append-only file: a restart loses what came after its last snapshot.")
    elif fsync == "everysec":
        found.append(
            "appendfsync is 'everysec': if its disk is busy, a crash of the server loses up to two seconds of what it "
            "acknowledged; wait_aof, or appendfsync 'always', keeps all."
        )
    elif fsync == "no":
        found.append("appendfsync is 'no': a crash of the server's machine loses what the system had not written.")
    if info.get("role") == "master" and int(info.get("connected_slaves", 0)) > 0:
        found.append(
            "Replicas follow asynchronously: a failover may lose the last moments; wait_replicas narrows that."
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
