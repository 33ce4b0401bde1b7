"""The one thread of a handle that writes, with group commit.

SQLite has one writer at a time, and a transaction costs far more than the statements of one operation. So the
operations that arrive while a transaction is being written share the next one: no timer, no delay when idle.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from omniq.errors import StoreClosedError
from omniq_sqlite.failures import mapped
from omniq_sqlite.gate import GatedConnection
from omniq_sqlite.lock import WriteLock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Job", "Writer"]

T = TypeVar("T")

GROUP = 64
"""At most so many operations share a transaction, so that the first of them does not wait long for the last."""


class Job(NamedTuple):
    """One operation: runs inside a transaction, may be run again after a rollback, tells whom its commit may wake."""

    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    kinds: str


class Outcome(NamedTuple):
    """What became of a job."""

    future: asyncio.Future[Any]
    value: Any
    error: BaseException | None


class Writer:
    """Runs jobs in write transactions on a connection of its own, in a thread of its own."""

    def __init__(
        self,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        *,
        loop: asyncio.AbstractEventLoop,
        after_commit: Callable[[sqlite3.Connection, str], None],
        on_wake: Callable[[str], None],
    ) -> None:
        self._connection = GatedConnection(connect)
        self._loop = loop
        self._after_commit = after_commit
        self._on_wake = on_wake
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = WriteLock(path)
        self._closed = False
        self._name = f"omniq-sqlite-{path.name}"
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] = loop.create_future()

    def start(self) -> asyncio.Future[None]:
        """Start the thread; the future is done when it has connected."""
        started: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(started,), name=self._name, daemon=True)
        self._thread.start()
        return started

    def submit(self, run: Callable[[sqlite3.Connection], T], kinds: str) -> asyncio.Future[T]:
        """Queue an operation; the future is done after its commit.

        Raises:
            StoreClosedError: The writer is closed.
        """
        if self._closed:
            raise StoreClosedError("The SQLite store is closed; open it again before using it.")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(Job(run, future, kinds))
        return future

    async def close(self) -> None:
        """Write what is queued, then end the thread."""
        if not self._closed and self._thread is not None:
            self._closed = True
            self._jobs.put(None)
            await self._ended
            self._thread.join()

    def _run(self, started: asyncio.Future[None]) -> None:
        try:
            with self._connection.use():
                pass
        except BaseException as error:  # noqa: BLE001 - it goes to whoever opens the store
            self._tell(_resolve, Outcome(started, None, mapped(error)))
            self._tell(_resolve, Outcome(self._ended, None, None))
            return
        self._tell(_resolve, Outcome(started, None, None))
        try:
            while jobs := self._next_group():
                with self._connection.use() as connection:
                    self._tell(self._resolve_all, self._write(connection, jobs), kinds := _kinds(jobs))
                    self._after_commit(connection, kinds)
        finally:
            self._connection.close()
            self._lock.close()
            self._tell(_resolve, Outcome(self._ended, None, None))

    def _tell(self, callback: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed under us; nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _next_group(self) -> list[Job]:
        jobs: list[Job] = []
        first = self._jobs.get()
        while first is not None:
            jobs.append(first)
            if len(jobs) == GROUP:
                return jobs
            try:
                first = self._jobs.get_nowait()
            except Empty:
                return jobs
        if jobs:
            self._jobs.put(None)  # the end comes after what was queued before it
        return jobs

    def _write(self, connection: sqlite3.Connection, jobs: list[Job]) -> list[Outcome]:
        """Run the jobs in one transaction; if one of them raises, each in a transaction of its own."""
        try:
            with self._lock:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    values = [job.run(connection) for job in jobs]
                except BaseException:
                    if len(jobs) == 1:
                        raise
                    values = None
                    connection.execute("ROLLBACK")
                else:
                    connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - it goes to the callers
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            return [Outcome(job.future, None, mapped(error)) for job in jobs]
        if values is None:
            return [outcome for job in jobs for outcome in self._write(connection, [job])]
        return [Outcome(job.future, value, None) for job, value in zip(jobs, values, strict=True)]

    def _resolve_all(self, outcomes: list[Outcome], kinds: str) -> None:
        for outcome in outcomes:
            _resolve(outcome)
        if kinds:
            self._on_wake(kinds)


def _kinds(jobs: list[Job]) -> str:
    return "".join({kind for job in jobs for kind in job.kinds})


def _resolve(outcome: Outcome) -> None:
    future, value, error = outcome
    if future.done():  # its caller was cancelled; what it asked for is done all the same
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
