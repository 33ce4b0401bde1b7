"""One handle on one database file: a writer thread, a reading connection and the doorbells."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any, TypeVar

import aiosqlite

from omniq.errors import ConnectionLostError, OmniQError, StorageError
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq.storage.filesystem import network_filesystem
from omniq.storage.shared import Shared
from omniq_sqlite.checkpoint import Checkpointer
from omniq_sqlite.failures import mapped
from omniq_sqlite.gate import GatedReader
from omniq_sqlite.schema import check_format, migrate
from omniq_sqlite.wake import DONE, EVENTS, WORK, Doorbell, ring
from omniq_sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from omniq_sqlite.options import SQLiteOptions

__all__ = ["Database", "host_time"]

T = TypeVar("T")

_CHUNK = 1000
_PAUSE = 0.005
SAFETY_NET = 0.5
"""Seconds after which a waiter looks at the database although no bell has rung."""

_WAL_RESET_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


def host_time() -> int:
    """Return this host's time in milliseconds since the epoch; every process that can open the file shares it."""
    return time.time_ns() // 1_000_000


class Database(Shared):
    """The file, as the roles of one configuration share it."""

    def __init__(self, options: SQLiteOptions) -> None:
        self.options = options
        self.path = options.path.absolute()
        super().__init__(f"SQLite store {self.path}")
        self._wake_folder = self.path.with_name(f"{self.path.name}-wake")
        self._writer: Writer | None = None
        self._reader: aiosqlite.Connection | None = None
        self._bells: dict[str, Doorbell] = {}
        self._own_bells: frozenset[str] = frozenset()
        self._waiters: dict[str, set[asyncio.Future[None]]] = {WORK: set(), DONE: set(), EVENTS: set()}
        self._checkpointer = Checkpointer(self.path, enabled=options.checkpoint == "auto")

    def write(self, run: Callable[[sqlite3.Connection], T], kinds: str = "") -> Awaitable[T]:
        """Run a function in a write transaction and return what it returns, after the commit.

        Args:
            run: Must have no effect outside the database: after a rollback it may run again.
            kinds: Whom the commit may concern: letters of `WORK`, `DONE` and `EVENTS`.
        """
        if self._writer is None or not self.is_open:
            raise self.closed()
        return self._writer.submit(run, kinds)

    async def read(self, sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query, from the latest commit."""
        if self._reader is None or not self.is_open:
            raise self.closed()
        try:
            return list(await self._reader.execute_fetchall(sql, parameters))
        except sqlite3.Error as error:
            raise mapped(error) from error
        except ValueError as error:  # aiosqlite's answer when it was closed meanwhile
            raise self.closed() from error

    async def wait_until(
        self,
        kind: str,
        look: Callable[[], Awaitable[tuple[T | None, float]]],
        timeout: float,
        *,
        on_bell: T | None = None,
    ) -> T | None:
        """Call `look` now and whenever a commit of this kind may have changed its answer.

        Args:
            kind: What to wait for.
            look: Returns the answer, or None and how many seconds from now to look again at the latest.
            timeout: Seconds.
            on_bell: The answer when a commit rang, if that need not be looked into.

        Returns:
            The answer, or None if the time ran out or the store was closed.
        """
        self.check_open()
        deadline = time.monotonic() + timeout
        self._hang_bell(kind)
        while self.is_open:
            bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[kind].add(bell)
            try:
                answer, patience = await look()
                remaining = deadline - time.monotonic()
                if answer is not None or remaining <= 0:
                    return answer
                await asyncio.wait((bell,), timeout=max(0.0, min(patience, remaining, SAFETY_NET)))
                if bell.done() and on_bell is not None:
                    return on_bell
            finally:
                self._waiters[kind].discard(bell)
        return None

    def _hang_bell(self, kind: str) -> None:
        if kind not in self._bells:
            bell = Doorbell(self._wake_folder, kind, asyncio.get_running_loop(), lambda: self._wake(kind))
            bell.hang()
            self._bells[kind] = bell
            self._own_bells = frozenset(bell.name for bell in self._bells.values())

    def stir(self) -> None:
        """Let everything that waits through this handle look again."""
        self._wake(WORK + DONE + EVENTS)

    def _wake(self, kinds: str) -> None:
        for kind in kinds:
            for waiter in self._waiters.get(kind, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def _after_commit(self, connection: sqlite3.Connection, kinds: str) -> None:
        if kinds:
            ring(self._wake_folder, kinds, self._own_bells)
        self._checkpointer.after_commit(connection)

    async def connect(self) -> Capabilities:
        """Create or check the file and start the threads.

        Raises:
            ConnectionLostError: The file cannot be opened.
            StorageError: It is on a network file system.
            StoreFormatError: It is no store of OmniQ, or one of a newer version.
        """
        kind = network_filesystem(self.path.parent)
        if kind is not None and not self.options.allow_network_fs:
            msg = (
                f"{self.path} is on a network file system ({kind}), where SQLite's locks are unreliable and tasks "
                "could run twice. Use a local disk, or a server backend for several hosts; or set allow_network_fs."
            )
            raise StorageError(msg)
        self._bells = {}  # of a parent process
        loop = asyncio.get_running_loop()
        self._writer = Writer(self.path, self._prepare, loop=loop, after_commit=self._after_commit, on_wake=self._wake)
        try:
            await self._writer.start()
            reader = aiosqlite.Connection(lambda: GatedReader(self._prepare_reader), _CHUNK)  # type: ignore[arg-type, return-value]
            # Or a program that leaves the store open in a loop of its own never ends: the interpreter waits for
            # threads that are no daemons. aiosqlite has no public way to say so.
            reader._thread.daemon = True  # noqa: SLF001
            self._reader = await reader
            await self._reader.execute_fetchall("SELECT 1")
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, OmniQError):
                raise
            raise self._cannot_open(error) from error
        return self._describe()

    async def disconnect(self) -> None:
        """Write what is queued, and stop the threads."""
        writer, reader = self._writer, self._reader
        self._writer = self._reader = None
        if writer is not None:
            await writer.close()
        for bell in self._bells.values():
            bell.take_down()
        self._bells = {}
        self.stir()
        if reader is not None:
            await reader.close()

    def _prepare(self) -> sqlite3.Connection:
        """Make the writer's connection, and the file if need be; runs in the writer's thread."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        options = self.options
        connection = sqlite3.connect(
            self.path, timeout=options.timeout, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            check_format(connection, self.path)  # before the journal mode is written into another program's file
            _set_journal_mode(connection, options.journal_mode, options.timeout)
            connection.execute(f"PRAGMA synchronous = {options.synchronous}")
            connection.execute(f"PRAGMA cache_size = {options.cache_size}")
            connection.execute("PRAGMA temp_store = MEMORY")
            # Automatic checkpoints race with commits that reset the log (SQLite < 3.51.3); ours hold the write lock.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            migrate(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare_reader(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self.options.timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _describe(self) -> Capabilities:
        options = self.options
        durable = options.synchronous in {"FULL", "EXTRA"}
        durability = Durability.OS_CRASH if durable else Durability.PROCESS_CRASH
        status = self.path.stat()
        return Capabilities(
            durability=Durability.NONE if options.journal_mode == "MEMORY" else durability,
            scope=Scope.HOST,
            transaction_domain=f"sqlite:{status.st_dev}:{status.st_ino}",
            max_wait_ms=int(SAFETY_NET * 1000),
            server_version=f"SQLite {sqlite3.sqlite_version}",
            warnings=_warnings(),
        )

    def _cannot_open(self, error: Exception) -> BaseException:
        if isinstance(error, sqlite3.Error):
            return mapped(error)
        return ConnectionLostError(f"Cannot open {self.path}: {error}. Check the folder and its permissions.")


def _set_journal_mode(connection: sqlite3.Connection, mode: str, timeout: float) -> None:
    """Set it if it is another one, which takes an exclusive lock that SQLite's busy handler does not wait for."""
    deadline = time.monotonic() + timeout
    while connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != mode:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)  # another process has just opened the new file, too
        else:
            return


def _warnings() -> tuple[str, ...]:
    version = sqlite3.sqlite_version_info
    fixed = version >= (3, 51, 3) or any(version[:2] == known[:2] and version >= known for known in _WAL_RESET_FIXED)
    if fixed:
        return ()
    warning = (
        f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug (fixed in 3.51.3, 3.50.7 and 3.44.6). "
        "OmniQ's own checkpoints avoid it; do not let other programs write to the file."
    )
    return (warning,)
