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
        self._connect = connect
        self._loop = loop
        self._after_commit = after_commit
        self._on_wake = on_wake
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = WriteLock(path)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"omniq-sqlite-{path.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

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
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        connection = self._connect()
        try:
            while jobs := self._next_group():
                self._deliver(self._write(connection, jobs), "".join(job.kinds for job in jobs), connection)
        finally:
            connection.close()
            self._lock.close()

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
        """Run the jobs in one transaction; if one raises, each in a transaction of its own."""
        try:
            values = self._transact(connection, jobs)
        except BaseException as error:  # noqa: BLE001 - it goes to the job's caller
            if len(jobs) == 1:
                return [Outcome(jobs[0].future, None, mapped(error))]
            return [outcome for job in jobs for outcome in self._write(connection, [job])]
        return [Outcome(job.future, value, None) for job, value in zip(jobs, values, strict=True)]

    def _transact(self, connection: sqlite3.Connection, jobs: list[Job]) -> list[Any]:
        with self._lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                values = [job.run(connection) for job in jobs]
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        return values

    def _deliver(self, outcomes: list[Outcome], kinds: str, connection: sqlite3.Connection) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed under us; nobody waits any more
            self._loop.call_soon_threadsafe(self._resolve, outcomes, kinds)
        self._after_commit(connection, kinds)

    def _resolve(self, outcomes: list[Outcome], kinds: str) -> None:
        for future, value, error in outcomes:
            if future.done():  # its caller was cancelled; what it asked for is done all the same
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
        if kinds:
            self._on_wake(kinds)
