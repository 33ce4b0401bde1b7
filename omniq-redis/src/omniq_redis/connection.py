"""The connections to one server, and how scripts are run through them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]
from redis import exceptions

from omniq.errors import OutcomeUnknownError, StoreClosedError
from omniq_redis.addresses import Addresses, connected
from omniq_redis.bell import Bell
from omniq_redis.failures import NETWORK, refused, unknown
from omniq_redis.greeting import greet
from omniq_redis.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import Connection

    from omniq.storage.capabilities import Capabilities
    from omniq_redis.options import RedisOptions
    from omniq_redis.scripts import Script

__all__ = ["Server", "namespace_of"]

_REDIRECTS = 5


def namespace_of(key_prefix: str, project: str) -> bytes:
    """Return what every key starts with: a hash tag, so that all keys are in one slot of a cluster."""
    name = f"{key_prefix}:{project}".replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return f"{{{name}}}:".encode()


class Server:
    """The server of one namespace, for the roles of one configuration. Belongs to the event loop that opened it.

    Args:
        options: How to reach it.
        project: The project's name.

    Attributes:
        prefix: What every key starts with.
        bell: Hears wake-ups.
    """

    def __init__(self, options: RedisOptions, project: str) -> None:
        self.options = options
        self.project = project
        self.prefix = namespace_of(options.key_prefix, project)
        self._addresses = Addresses(options, self.prefix)
        self._free: list[tuple[tuple[str, int], Connection]] = []
        self._slots = asyncio.Semaphore(options.max_connections)
        self._users = 0
        self._pid = 0
        self._opening = asyncio.Lock()
        self._capabilities: Capabilities | None = None
        self.bell = Bell(self)

    # Life

    async def open(self) -> None:
        """Connect and look at the server; for every role once.

        Raises:
            ConnectionLostError: It cannot be reached.
            ConfigError: It may evict keys, or lacks something that the options ask for.
            StoreFormatError: A newer version of this backend has changed the format of the namespace.
        """
        async with self._opening:
            if self._users and self._pid != os.getpid():
                self._users = 0
            if not self._users:
                self._pid = os.getpid()
                self._users = 1
                try:
                    self._capabilities = await greet(self)
                except BaseException:
                    self._users = 0
                    await self._drop_all()
                    raise
            else:
                self._users += 1

    async def close(self) -> None:
        """Let one role go; with the last one, close all connections."""
        self._users -= 1
        if self._users == 0:
            await self.bell.close()
            await self._drop_all()

    @property
    def capabilities(self) -> Capabilities:
        """What the server can do."""
        if self._capabilities is None:
            raise StoreClosedError(
                "The Redis backend is not open. Open it first: async with app, or await storage.open()."
            )
        return self._capabilities

    @property
    def is_open(self) -> bool:
        """Whether it may be used."""
        return self._users > 0 and self._pid == os.getpid()

    @property
    def where(self) -> str:
        """The address in messages."""
        return f"{self.options.host}:{self.options.port}"

    @property
    def is_cluster(self) -> bool:
        """Whether the server is a node of a cluster."""
        return self._addresses.is_cluster

    @is_cluster.setter
    def is_cluster(self, value: bool) -> None:
        self._addresses.is_cluster = value

    def check_open(self) -> None:
        """Refuse to work when closed, or in a child process that inherited the connections.

        Raises:
            StoreClosedError: It is so.
        """
        if not self.is_open:
            if self._users:
                raise StoreClosedError("This store was opened before a fork. Open one of its own in the child process.")
            raise StoreClosedError("The Redis backend is closed. Open it again, or make a new application.")

    # Scripts

    async def run(self, name: str, payload: object, *, mode: bytes = b"", now: int | None = None) -> Any:
        """Run a script and return what it answers.

        Args:
            name: The script.
            payload: Its input.
            mode: The letters of the joined roles.
            now: Instead of the server's clock, in milliseconds since the epoch.
        """
        return (await self.run_all(name, [payload], mode=mode, now=now))[0]

    async def run_all(
        self, name: str, payloads: Sequence[object], *, mode: bytes = b"", now: int | None = None
    ) -> list[Any]:
        """Run a script once for each input, in one round trip, and return all answers."""
        wanted = script(name)
        if self.is_cluster:
            mode += b"s"
        at = b"" if now is None else b"%d" % now
        commands = [
            ("EVALSHA", wanted.sha, 1, self.prefix, at, mode, msgpack.packb(payload, use_bin_type=False))
            for payload in payloads
        ]
        replies = await self._scripted(wanted, commands)
        return [None if reply is None else msgpack.unpackb(reply, raw=True, strict_map_key=False) for reply in replies]

    async def _scripted(self, wanted: Script, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        replies: list[Any] = [None] * len(commands)
        left = list(range(len(commands)))
        for _ in range(_REDIRECTS):
            again = []
            found = await self.execute([commands[number] for number in left], changes=wanted.changes)
            for number, reply in zip(left, found, strict=True):
                if isinstance(reply, exceptions.NoScriptError):
                    again.append(number)
                elif isinstance(reply, Exception):
                    raise refused(reply) from reply  # type: ignore[arg-type]
                else:
                    replies[number] = reply
            if not again:
                return replies
            left = again
            await self.execute([("SCRIPT", "LOAD", wanted.source)])
        raise OutcomeUnknownError(
            f"The server at {self.where} forgets the script {wanted.name!r} as soon as it is loaded."
        )

    async def execute(self, commands: Sequence[tuple[Any, ...]], *, changes: bool = False) -> list[Any]:
        """Send commands in one go and return their replies; errors that the server answered are among them.

        Commands that go to another node of a cluster are sent there.

        Raises:
            ConnectionLostError: Nothing was applied.
            OutcomeUnknownError: A reply was lost, and `changes` says that something may have been changed.
        """
        for _ in range(_REDIRECTS):
            replies = await self._exchange(commands, changes=changes)
            first = replies[0]
            if isinstance(first, exceptions.MovedError):
                self.is_cluster = True
                self._addresses.moved(str(first))
            elif isinstance(first, exceptions.ReadOnlyError | exceptions.ClusterDownError | exceptions.MasterDownError):
                self._addresses.forget()
                return replies
            else:
                return replies
        return replies

    async def _exchange(self, commands: Sequence[tuple[Any, ...]], *, changes: bool) -> list[Any]:
        self.check_open()
        options = self.options
        sync = self._sync_commands() if changes else []
        async with self._slots:
            place, connection = await self._connection()
            done = False
            try:
                async with asyncio.timeout(options.socket_timeout):
                    packed = connection.pack_commands([*commands, *sync])
                    await connection.send_packed_command(packed, check_health=False)
                    replies = [await _read(connection) for _ in commands]
                    confirmed = [await _read(connection) for _ in sync]
                done = True
            except NETWORK as error:
                self._addresses.forget()
                raise unknown(error, f"{place[0]}:{place[1]}", changes=changes) from error
            finally:
                if done and self.is_open:
                    self._free.append((place, connection))
                else:
                    await connection.disconnect(nowait=True)
        if sync and not any(isinstance(reply, Exception) for reply in replies):
            self._check_sync(confirmed)
        return replies

    async def _connection(self) -> tuple[tuple[str, int], Connection]:
        """Return a connection that is not known to be broken."""
        place = await self._addresses.locate()
        while self._free:
            found, connection = self._free.pop()
            if found == place and not await _is_broken(connection):
                return found, connection
            await connection.disconnect(nowait=True)
        try:
            return place, await connected(self.options, *place)
        except BaseException:
            self._addresses.forget()
            raise

    async def listen(self, *channels: str) -> Connection:
        """Return a connection of its own that is subscribed to channels of the namespace."""
        self.check_open()
        connection = await connected(self.options, *await self._addresses.locate())
        try:
            async with asyncio.timeout(self.options.socket_timeout):
                await self.subscribe(connection, *channels)
                for _ in channels:
                    await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def subscribe(self, connection: Connection, *channels: str) -> None:
        """Ask for the messages of channels; the confirmation is still to be read."""
        names = [self.prefix + name.encode() for name in channels]
        await connection.send_command("SSUBSCRIBE" if self.is_cluster else "SUBSCRIBE", *names)

    def _sync_commands(self) -> list[tuple[Any, ...]]:
        options, most = self.options, round(self.options.wait_timeout * 1000)
        if options.wait_aof:
            return [("WAITAOF", 1, options.wait_replicas, most)]
        return [("WAIT", options.wait_replicas, most)] if options.wait_replicas else []

    def _check_sync(self, confirmed: list[Any]) -> None:
        reply, options = confirmed[0], self.options
        if isinstance(reply, Exception):
            raise refused(reply) from reply  # type: ignore[arg-type]
        on_disk, replicas = reply if options.wait_aof else (1, reply)
        if on_disk < 1 or replicas < options.wait_replicas:
            raise OutcomeUnknownError(
                f"The server at {self.where} applied it, but within {options.wait_timeout} s only {replicas} of "
                f"{options.wait_replicas} replicas{'' if on_disk else ', and not its own disk,'} confirmed it. It may be "
                "lost if the server fails now."
            )

    async def _drop_all(self) -> None:
        while self._free:
            _, connection = self._free.pop()
            with contextlib.suppress(Exception):
                await connection.disconnect(nowait=True)


async def _read(connection: Connection) -> Any:
    """Return a reply; an error that the server answered is returned, too."""
    try:
        return await connection.read_response()
    except (exceptions.ResponseError, exceptions.BusyLoadingError) as error:
        return error


async def _is_broken(connection: Connection) -> bool:
    """Tell whether the server has closed an idle connection."""
    try:
        return not connection.is_connected or await connection.can_read()
    except NETWORK:
        return True
