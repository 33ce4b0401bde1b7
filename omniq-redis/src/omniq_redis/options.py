"""The options of the Redis backend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import attrs

from omniq.errors import ConfigError
from omniq.storage.options import LOCATOR, parse_options

if TYPE_CHECKING:
    from omniq.storage.backend import BackendConfig

__all__ = ["RedisOptions"]

_SCHEMES = {"redis": False, "rediss": True, "valkey": False, "valkeys": True}


@attrs.frozen(kw_only=True)
class RedisOptions:
    """What may stand in the `config` of a Redis backend.

    Attributes:
        host: Where the server is, or one node of a cluster.
        port: Its port.
        database: The number of the database; 0 in a cluster.
        username: Of the server's access control list.
        password: Of the user, or of the server.
        max_connections: The most connections for commands; one more listens for wake-ups.
        tls: Encrypt; `rediss://` does so too.
        tls_ca: Certificates of the authorities to trust, instead of the system's.
        tls_cert: The client's own certificate, and those between it and its authority.
        tls_key: Its key; None if that is in the same file.
        tls_verify: Check the server's certificate and name.
        key_prefix: Every key starts with `{<key_prefix>:<project>}:`, so that several applications share a server.
        cluster: The server is a node of a Redis or Valkey cluster.
        nodes: More nodes of the cluster, as `host:port`, to ask when the first does not answer.
        address_map: Where to connect instead of an address that nodes or sentinels tell, both as `host:port`: for a
            tunnel, a container's network, or whatever else their own addresses do not lead through.
        sentinels: Sentinels, as `host:port`, that know where the primary of `sentinel_service` is.
        sentinel_service: The name under which the sentinels watch the primary.
        sentinel_username: Of the sentinels' own access control list.
        sentinel_password: Of the sentinels, which have another login than the server, and mostly none.
        connect_timeout: Seconds for a connection to be made.
        socket_timeout: Seconds for a command to be answered.
        allow_eviction: Use a server that may evict keys, and so lose tasks, when its memory is full.
        wait_replicas: A write is acknowledged once so many replicas have it.
        wait_aof: A write is acknowledged once it is in the append-only file on the primary's disk.
        wait_timeout: Seconds to wait for either.
    """

    host: str = attrs.field(default="localhost", metadata=LOCATOR)
    port: int = attrs.field(default=6379, metadata=LOCATOR)
    database: int = attrs.field(default=0, validator=attrs.validators.ge(0), metadata=LOCATOR)
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    max_connections: int = attrs.field(default=10, validator=attrs.validators.gt(0))
    tls: bool = False
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_verify: bool = True
    key_prefix: str = "omniq"
    cluster: bool = False
    nodes: tuple[str, ...] = attrs.field(default=(), metadata=LOCATOR)
    address_map: Mapping[str, str] = attrs.field(factory=dict)
    sentinels: tuple[str, ...] = attrs.field(default=(), metadata=LOCATOR)
    sentinel_service: str = "mymaster"
    sentinel_username: str | None = None
    sentinel_password: str | None = attrs.field(default=None, repr=False)
    connect_timeout: float = attrs.field(default=5.0, validator=attrs.validators.gt(0))
    socket_timeout: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))
    allow_eviction: bool = False
    wait_replicas: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    wait_aof: bool = False
    wait_timeout: float = attrs.field(default=1.0, validator=attrs.validators.gt(0))

    def __attrs_post_init__(self) -> None:
        if self.cluster and self.sentinels:
            raise ConfigError(
                "cluster and sentinels: a server is in a cluster or watched by sentinels. Give one of them."
            )
        if self.cluster and self.database:
            raise ConfigError(f"database: a cluster has only database 0, not {self.database}. Use key_prefix instead.")
        if self.tls_key is not None and self.tls_cert is None:
            raise ConfigError("tls_key: a key is of no use without its certificate. Give tls_cert, too.")
        for name in (*self.nodes, *self.sentinels, *self.address_map, *self.address_map.values()):
            address(name)

    @classmethod
    def read(cls, config: BackendConfig) -> RedisOptions:
        """Read what a creation hook received.

        Raises:
            ConfigError: An option is unknown or invalid, or the url is not one of Redis.
        """
        return parse_options(cls, config, split_url=_split)


def address(text: str) -> tuple[str, int]:
    """Return the parts of `host:port`, or of `[2001:db8::1]:port`.

    Raises:
        ConfigError: It is something else.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise ConfigError(f"{text!r} is no address of a server. Write it as 'host:port', such as 'redis-1:6379'.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _split(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ConfigError("url: it does not start with redis:// or rediss:// (TLS). Write redis://localhost:6379/0")
    if parts.query or parts.fragment:
        raise ConfigError("url: it has a query. Give options in config={...} instead")
    database = parts.path.strip("/")
    if database and not database.isdecimal():
        raise ConfigError(f"url: {database!r} is no number of a database. End it with /0")
    return {
        "host": parts.hostname,
        "port": parts.port,
        "database": int(database) if database else None,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "tls": True if _SCHEMES[parts.scheme] else None,
    }
