"""Finds the server that keeps a namespace: a fixed one, the primary that sentinels know, or a node of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import attrs
from redis import exceptions
from redis.asyncio.connection import Connection, SSLConnection
from redis.crc import key_slot

from omniq.errors import ConfigError, ConnectionLostError
from omniq_redis.failures import NETWORK, not_applied
from omniq_redis.options import address
from omniq_redis.tls import ssl_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq_redis.options import RedisOptions

__all__ = ["Addresses", "connected"]


async def connected(options: RedisOptions, host: str, port: int) -> Connection:
    """Return a new connection to a server, logged in.

    Raises:
        ConnectionLostError: It cannot be reached.
        ConfigError: It refuses the login, or TLS cannot be agreed on.
    """
    arguments: dict[str, Any] = {
        "host": host,
        "port": port,
        "db": options.database,
        "username": options.username,
        "password": options.password,
        # Time limits are set around whole exchanges, and nothing is repeated behind the caller's back.
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "socket_keepalive": True,
        "health_check_interval": 0,
        "retry_on_error": [],
        "retry": None,
        "protocol": 2,
    }
    kind: type[Connection] = Connection
    if options.tls:
        kind = SSLConnection
    connection = kind(**arguments)
    if isinstance(connection, SSLConnection):
        connection.ssl_context.context = ssl_context(options)
    try:
        async with asyncio.timeout(options.connect_timeout):
            await connection.connect()  # type: ignore[no-untyped-call] # the driver has no types here
    except BaseException as error:
        await connection.disconnect(nowait=True)
        if isinstance(error, Exception):
            raise not_applied(error, f"{host}:{port}", is_tls=options.tls) from error
        raise
    return connection


class Addresses:
    """Where the server of a namespace is; asked again after `forget`.

    Args:
        options: How to reach it.
        key: A key of the namespace, all of whose keys are in one slot.
    """

    def __init__(self, options: RedisOptions, key: bytes) -> None:
        self._options = options
        self._slot = key_slot(key)
        self._map = {address(told): address(real) for told, real in options.address_map.items()}
        self._known: list[tuple[str, int]] = []
        self._found: tuple[str, int] | None = None
        self.is_cluster = options.cluster

    def forget(self) -> None:
        """Look again the next time."""
        if self.is_cluster or self._options.sentinels:
            self._found = None

    def moved(self, text: str) -> None:
        """Follow `MOVED slot host:port`."""
        host, port = address(text.rsplit(maxsplit=1)[-1])
        self._found = self._reachable(host or self._options.host, port)

    def _reachable(self, host: str, port: int) -> tuple[str, int]:
        """Return where to connect for an address that was told."""
        return self._map.get((host, port), (host, port))

    async def locate(self) -> tuple[str, int]:
        """Return host and port.

        Raises:
            ConnectionLostError: Nobody who could tell answers.
        """
        options = self._options
        if self._found is not None:
            return self._found
        if options.sentinels:
            login = attrs.evolve(
                options, database=0, username=options.sentinel_username, password=options.sentinel_password
            )
            places = [address(each) for each in options.sentinels]
            found = await self._ask(places, self._ask_sentinel, login, "sentinel_username and sentinel_password")
        elif self.is_cluster:
            seeds = [*self._known, (options.host, options.port), *map(address, options.nodes)]
            found = await self._ask(seeds, self._ask_node, options, "username and password")
        else:
            found = (options.host, options.port)
        self._found = found
        return found

    async def _ask(
        self, places: Sequence[tuple[str, int]], ask: Any, options: RedisOptions, passwords: str
    ) -> tuple[str, int]:
        told: list[str] = []
        for host, port in dict.fromkeys(places):
            try:
                found: tuple[str, int] | None = await self._ask_one(host, port, ask, options)
            except ConnectionLostError as error:
                told.append(str(error))
            except NETWORK as error:
                told.append(f"{host}:{port}: {error}")
            except (ConfigError, exceptions.RedisError) as error:
                cause = error.__cause__ or error
                if not isinstance(cause, exceptions.RedisError):
                    raise
                raise ConfigError(f"{host}:{port} refuses to tell: {cause}. Check {passwords}.") from error
            else:
                if found is not None:
                    return found
                told.append(f"{host}:{port} does not know it")
        raise ConnectionLostError(f"Nobody tells where the server of this namespace is. {' '.join(told)}")

    async def _ask_one(self, host: str, port: int, ask: Any, options: RedisOptions) -> Any:
        connection = await connected(options, host, port)
        try:
            async with asyncio.timeout(options.connect_timeout):
                return await ask(connection, host)
        finally:
            with contextlib.suppress(Exception):
                await connection.disconnect(nowait=True)

    async def _ask_sentinel(self, connection: Connection, host: str) -> tuple[str, int] | None:
        del host
        await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._options.sentinel_service)
        found = await connection.read_response()
        return self._reachable(found[0].decode(), int(found[1])) if found else None

    async def _ask_node(self, connection: Connection, host: str) -> tuple[str, int] | None:
        await connection.send_command("CLUSTER", "SLOTS")
        ranges = await connection.read_response()
        self._known = [
            self._reachable(node[0].decode() or host, node[1])
            for _, _, *nodes in ranges
            for node in nodes
            if node[0] is not None
        ]
        for first, last, (name, port, *_), *_ in ranges:
            if first <= self._slot <= last:
                return self._reachable(name.decode() if name else host, port)
        return None
