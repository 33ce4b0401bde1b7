"""The connections to one server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl as tls
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]

from omniq.errors import OmniQError
from omniq_postgres.failures import NETWORK, deadlocked, is_broken, mapped, not_connected

if TYPE_CHECKING:
    from asyncpg import Connection, Record

    from omniq_postgres.options import PostgresOptions

__all__ = ["Pool", "connected", "release"]

_IDLE = 0.05
_KEPT = 2.0
"""Seconds after which a connection beyond `min_connections` is closed if nobody needs it."""
_PATIENCE = 0.01
"""Seconds to wait for a connection that is in use before one more is made, which is more work than most statements."""
_CLOSING = 1.0
_REPEATS = 5


async def connected(options: PostgresOptions) -> Connection:
    """Return a new connection, logged in.

    Raises:
        ConnectionLostError: The server cannot be reached.
        ConfigError: It refuses the login, or has no such database.
    """
    try:
        return await asyncpg.connect(
            host=options.host,
            port=options.port,
            user=options.username,
            password=options.password,
            database=options.database,
            ssl=_encryption(options),
            timeout=options.connect_timeout,
            statement_cache_size=options.statement_cache_size,
            max_cached_statement_lifetime=0,
            server_settings={"application_name": options.application_name},
        )
    except NETWORK as error:
        raise not_connected(error, f"{options.host}:{options.port}") from error


def _encryption(options: PostgresOptions) -> tls.SSLContext | str:
    if options.ssl == "disable" or (options.ssl_ca is None and options.ssl_cert is None):
        return options.ssl
    context = tls.create_default_context(cafile=options.ssl_ca)
    context.check_hostname = options.ssl == "verify-full"
    if options.ssl_ca is None and not options.ssl.startswith("verify"):
        context.verify_mode = tls.CERT_NONE
    if options.ssl_cert is not None:
        context.load_cert_chain(options.ssl_cert, options.ssl_key)
    return context


class Pool:
    """Connections that are used by one statement at a time, at most `max_connections`.

    There are as many as are worth it: who finds all of them in use waits a moment for one before one more is made.

    Args:
        options: How to reach the server.
    """

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options
        self._where = f"{options.host}:{options.port}"
        self._free: list[tuple[Connection, float]] = []
        self._slots = asyncio.Semaphore(options.max_connections)
        self._in_use = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._is_growing = False
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def open(self, first: Connection) -> None:
        """Make the first connections, apart from the one that is there already."""
        self._give_back(first)
        for _ in range(self._options.min_connections - 1):
            self._free.append((await self.connect(self._options), time.monotonic()))

    async def connect(self, options: PostgresOptions) -> Connection:
        """Return a new connection; if the caller is cancelled, it is closed once it is made.

        The driver, cancelled while it connects, would leave a socket open.
        """
        task = asyncio.get_running_loop().create_task(connected(options))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._track(task)
            task.add_done_callback(_drop)
            raise

    async def fetch(self, statement: str, *arguments: Any, changes: bool = False) -> list[Record]:
        """Run one statement and return its rows.

        Raises:
            ConnectionLostError: Nothing was applied.
            OutcomeUnknownError: The reply was lost, and `changes` says that something may have been changed.
            StorageError: The server refused it.
        """
        for _ in range(_REPEATS):
            try:
                return await self._exchange(statement, arguments)
            except OmniQError:
                raise  # nobody could be reached
            except NETWORK as error:
                if not deadlocked(error):
                    raise mapped(error, self._where, changes=changes) from error
                failure = error
        raise mapped(failure, self._where, changes=changes) from failure

    async def _exchange(self, statement: str, arguments: tuple[Any, ...]) -> list[Record]:
        if self._cancelled:
            await asyncio.wait(self._cancelled)
        await self._slots.acquire()
        try:
            connection = await self._connection()
        except BaseException:
            self._slots.release()
            raise
        self._in_use += 1
        task = asyncio.get_running_loop().create_task(self._use(connection, statement, arguments))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Calls that follow wait for it: the server might else do them before the cancelled one.
            self._track(task)
            raise

    async def _use(self, connection: Connection, statement: str, arguments: tuple[Any, ...]) -> list[Record]:
        """Run a statement to its end, whatever becomes of the caller; a silent server is hung up on."""
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(self._options.statement_timeout, connection.terminate)
        try:
            if self._options.statement_cache_size:
                rows = await connection.fetch(statement, *arguments)
            else:
                # Without names a statement is prepared and run in two steps, which a pooler has to send to one server.
                async with connection.transaction():
                    rows = await connection.fetch(statement, *arguments)
        except NETWORK as error:
            if is_broken(error):
                connection.terminate()
            raise
        except BaseException:
            connection.terminate()
            raise
        finally:
            alarm.cancel()
            self._in_use -= 1
            self._give_back(connection)
            self._slots.release()
        return rows  # type: ignore[no-any-return] # the driver has no types here

    def _give_back(self, connection: Connection) -> None:
        if self._is_closed or connection.is_closed():
            connection.terminate()
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._free.append((connection, time.monotonic()))
        if self._reaper is None and len(self._free) > self._options.min_connections:
            self._reaper = asyncio.get_running_loop().call_later(_KEPT, self._reap)

    def _reap(self) -> None:
        """Close the connections that nobody needed; the list has the one that was used last at its end."""
        self._reaper = None
        spare = len(self._free) - self._options.min_connections
        if spare <= 0:
            return
        for connection, since in self._free[:spare]:
            if time.monotonic() - since >= _KEPT:
                self._free.remove((connection, since))
                self._track(asyncio.get_running_loop().create_task(release(connection)))
        if len(self._free) > self._options.min_connections:
            self._reaper = asyncio.get_running_loop().call_later(_KEPT / 2, self._reap)

    def _track(self, task: asyncio.Task[Any]) -> None:
        self._cancelled.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._cancelled.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it any more

    async def _connection(self) -> Connection:
        """Return a connection that is not known to be broken."""
        if self._free and time.monotonic() - self._free[-1][1] > _IDLE:
            # In the first turn the loop hears that connections were closed meanwhile, in the second they know it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        while self._free:
            connection, _ = self._free.pop()
            if not connection.is_closed():
                return connection
        while self._in_use:
            connection = await self._freed()
            if connection is not None and not connection.is_closed():
                return connection
            if not self._is_growing:
                break
        self._is_growing = True
        try:
            return await self.connect(self._options)
        finally:
            self._is_growing = False

    async def _freed(self) -> Connection | None:
        """Return the next connection that is given back, None if that takes too long."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.append(waiter)
        alarm = loop.call_later(_PATIENCE, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.result() is not None:
                self._give_back(waiter.result())
            raise
        finally:
            alarm.cancel()

    async def close(self) -> None:
        """Close the connections; those in use when their statement is over."""
        self._is_closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        if self._cancelled:
            await asyncio.wait(self._cancelled, timeout=self._options.connect_timeout)
        while self._free:
            await release(self._free.pop()[0])


async def release(connection: Connection) -> None:
    """Close a connection that is not used any more, and return once it is closed."""
    with contextlib.suppress(*NETWORK):
        await connection.close(timeout=_CLOSING)


def _give_up(waiter: asyncio.Future[Connection | None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _drop(task: asyncio.Task[Connection]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()
