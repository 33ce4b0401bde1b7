"""Connections that are closed across a fork.

SQLite must not be carried over a fork: the library in the child remembers locks that only the parent holds, so the
child would hang, or would write to a log that the parent, as the last one it knows of, removes. So before a fork every
store of the process finishes what it is writing and closes its connections; both sides connect again when they go on.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["GatedConnection", "GatedReader"]

_all: weakref.WeakSet[GatedConnection] = weakref.WeakSet()
_paused: list[GatedConnection] = []


class GatedConnection:
    """A connection that is made when it is used, and closed while the process forks.

    Args:
        connect: Makes it.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._gate = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        _all.add(self)

    @contextlib.contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection for one transaction or one query; a fork waits for its end."""
        with self._gate:
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection

    def close(self) -> None:
        """Close it."""
        with self._gate:
            self._disconnect()

    def pause(self) -> None:
        """Close it and keep everybody out."""
        self._gate.acquire()
        self._disconnect()

    def resume(self) -> None:
        """Let everybody in again."""
        self._gate.release()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class GatedReader(GatedConnection):
    """What aiosqlite takes for a connection."""

    def execute(self, sql: str, parameters: Iterable[Any] = ()) -> _Rows:
        """Return all rows of a query."""
        with self.use() as connection:
            return _Rows(connection.execute(sql, parameters).fetchall())  # type: ignore[arg-type]


class _Rows:
    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def fetchall(self) -> list[Any]:
        return self._rows


def _before_fork() -> None:
    for connection in list(_all):
        connection.pause()
        _paused.append(connection)


def _after_fork_in_parent() -> None:
    while _paused:
        _paused.pop().resume()


def _after_fork_in_child() -> None:
    """Leave the gates shut: what was open belongs to the parent, and the child opens stores of its own."""
    _paused.clear()
    _all.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
