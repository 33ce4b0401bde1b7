"""The connections to one server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from redis import exceptions

from omniq.errors import OutcomeUnknownError
from omniq_redis.addresses import Addresses, connected
from omniq_redis.failures import NETWORK, refused, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import Connection

    from omniq_redis.options import RedisOptions

__all__ = ["Pool", "release"]

_REDIRECTS = 5
_IDLE = 0.05
_CLOSING = 1.0


class Pool:
    """Connections that are used by one exchange at a time, at most `max_connections`.

    Args:
        options: How to reach the server.
        prefix: What every key and channel of the namespace starts with.
    """

    def __init__(self, options: RedisOptions, prefix: bytes) -> None:
        self._options = options
        self._prefix = prefix
        self._addresses = Addresses(options, prefix)
        self._free: list[tuple[tuple[str, int], Connection, float]] = []
        self._slots = asyncio.Semaphore(options.max_connections)
        self._cancelled: dict[asyncio.Task[None], Connection] = {}
        self._is_closed = False

    @property
    def is_cluster(self) -> bool:
        """Whether the server is a node of a cluster."""
        return self._addresses.is_cluster

    @is_cluster.setter
    def is_cluster(self, value: bool) -> None:
        self._addresses.is_cluster = value

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
        if self._cancelled:
            await asyncio.wait(self._cancelled)
        sync = self._sync_commands() if changes else []
        number = len(commands) + len(sync)
        replies: list[Any] = []
        async with self._slots:
            place, connection = await self._connection()
            is_sent = is_kept = False
            try:
                async with asyncio.timeout(self._options.socket_timeout):
                    packed = connection.pack_commands([*commands, *sync])
                    await connection.send_packed_command(packed, check_health=False)
                    is_sent = True
                    while len(replies) < number:
                        replies.append(await _read(connection))
                is_kept = True
            except NETWORK as error:
                self._addresses.forget()
                raise unknown(error, f"{place[0]}:{place[1]}", changes=changes) from error
            except asyncio.CancelledError:
                is_kept = is_sent
                raise
            finally:
                if is_kept:
                    await self._give_back(place, connection, number - len(replies))
                else:
                    await connection.disconnect(nowait=True)
        confirmed = replies[len(commands) :]
        del replies[len(commands) :]
        if sync and not any(isinstance(reply, Exception) for reply in replies):
            self._check_sync(confirmed)
        return replies

    async def _give_back(self, place: tuple[str, int], connection: Connection, left: int) -> None:
        """Let others use a connection, once the replies of a call that was cancelled are read.

        Calls that follow wait for that: the server might else do them before the cancelled one.
        """
        if self._is_closed:
            await connection.disconnect(nowait=True)
        elif left:
            task = asyncio.get_running_loop().create_task(self._read_rest(place, connection, left))
            self._cancelled[task] = connection
            task.add_done_callback(self._cancelled.pop)
        else:
            self._free.append((place, connection, time.monotonic()))

    async def _read_rest(self, place: tuple[str, int], connection: Connection, left: int) -> None:
        try:
            async with asyncio.timeout(self._options.socket_timeout):
                for _ in range(left):
                    await _read(connection)
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, NETWORK):
                raise
        else:
            await self._give_back(place, connection, 0)

    async def _connection(self) -> tuple[tuple[str, int], Connection]:
        """Return a connection that is not known to be broken."""
        place = await self._addresses.locate()
        if self._free and time.monotonic() - self._free[-1][2] > _IDLE:
            # In the first turn the loop hears that connections were closed meanwhile, in the second they know it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        while self._free:
            found, connection, _ = self._free.pop()
            if found == place and not await _is_broken(connection):
                return found, connection
            await connection.disconnect(nowait=True)
        return await self._new_connection()

    async def _new_connection(self) -> tuple[tuple[str, int], Connection]:
        place = await self._addresses.locate()
        try:
            return place, await connected(self._options, *place)
        except BaseException:
            self._addresses.forget()
            raise

    async def listen(self, *channels: str) -> Connection:
        """Return a connection of its own that is subscribed to channels of the namespace."""
        _, connection = await self._new_connection()
        try:
            async with asyncio.timeout(self._options.socket_timeout):
                await self.subscribe(connection, *channels)
                for _ in channels:
                    await connection.read_response()
        except BaseException:
            self._addresses.forget()
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def subscribe(self, connection: Connection, *channels: str) -> None:
        """Ask for the messages of channels; the confirmation is still to be read."""
        names = [self._prefix + name.encode() for name in channels]
        await connection.send_command("SSUBSCRIBE" if self.is_cluster else "SUBSCRIBE", *names)

    def _sync_commands(self) -> list[tuple[Any, ...]]:
        options, most = self._options, round(self._options.wait_timeout * 1000)
        if options.wait_aof:
            return [("WAITAOF", 1, options.wait_replicas, most)]
        return [("WAIT", options.wait_replicas, most)] if options.wait_replicas else []

    def _check_sync(self, confirmed: list[Any]) -> None:
        reply, options = confirmed[0], self._options
        if isinstance(reply, Exception):
            raise refused(reply) from reply  # type: ignore[arg-type]
        on_disk, replicas = reply if options.wait_aof else (1, reply)
        if on_disk < 1 or replicas < options.wait_replicas:
            raise OutcomeUnknownError(
                f"The server at {self._options.host} applied it, but in {options.wait_timeout} s only {replicas} of "
                f"{options.wait_replicas} replicas{'' if on_disk else ', and not its own disk,'} confirmed it. "
                "It may be lost if the server fails now."
            )

    async def close(self) -> None:
        """Close the connections; those in use when their exchange is over."""
        self._is_closed = True
        cancelled = dict(self._cancelled)
        for task, connection in cancelled.items():
            task.cancel()
            await asyncio.wait({task})
            await release(connection)  # a task that had not begun has closed nothing
        while self._free:
            await release(self._free.pop()[1])


async def release(connection: Connection) -> None:
    """Close a connection that is not used any more, and return once it is closed."""
    with contextlib.suppress(*NETWORK):
        async with asyncio.timeout(_CLOSING):
            await connection.disconnect()


async def _read(connection: Connection) -> Any:
    """Return a reply; an error that the server answered is returned, too."""
    try:
        return await connection.read_response(disconnect_on_error=False)
    except (exceptions.ResponseError, exceptions.BusyLoadingError, exceptions.AuthenticationError) as error:
        return error


async def _is_broken(connection: Connection) -> bool:
    """Tell whether the server has closed an idle connection."""
    try:
        return not connection.is_connected or await connection.can_read()
    except NETWORK:
        return True
