"""Enqueue many tasks with few statements.

Every SQLite step releases the interpreter's lock and has to wait for it again, so a hundred rows go into one statement.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from omniq.models.record import Enqueued
from omniq_sqlite.rows import EVENT_COLUMNS, body_values, is_large
from omniq_sqlite.transitions import ADD_BODY, NEW_COLUMNS, add_one, new_values, next_seq

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import TaskSpec
    from omniq_sqlite.ledger import Ledger

__all__ = ["enqueue"]

CHUNK = 100


def enqueue(connection: sqlite3.Connection, ledger: Ledger, specs: Sequence[TaskSpec], now: int) -> list[Enqueued]:
    """Enqueue tasks in order; a chunk that has a known id or a held unique key goes one by one."""
    replies: list[Enqueued] = []
    for start in range(0, len(specs), CHUNK):
        chunk = specs[start : start + CHUNK]
        if not _enqueue_new(connection, ledger, chunk, now):
            replies += [add_one(connection, ledger, spec, now) for spec in chunk]
        else:
            replies += [Enqueued(spec.id, True) for spec in chunk]  # noqa: FBT003 - positional is half the cost
    return replies


def _enqueue_new(connection: sqlite3.Connection, ledger: Ledger, specs: Sequence[TaskSpec], now: int) -> bool:
    first = next_seq(connection)
    size = len(specs)
    try:
        connection.execute(
            _insert(size),
            list(chain.from_iterable([new_values(spec, seq, now) for seq, spec in enumerate(specs, first)])),
        )
    except sqlite3.IntegrityError:
        return False  # the statement was undone as a whole
    large = [(seq, *body_values(spec.body)[-2:]) for seq, spec in enumerate(specs, first) if is_large(spec.body)]
    if large:
        connection.executemany(ADD_BODY, large)
    for table in ledger.tables(terminal=False):
        connection.execute(_NOTE.format(table=table), (first, first + size - 1))
    return True


@cache
def _insert(rows: int) -> str:
    marks = f"({', '.join('?' * (NEW_COLUMNS.count(',') + 1))})"
    return f"INSERT INTO task ({NEW_COLUMNS}) VALUES {', '.join([marks] * rows)}"


_NOTE = (
    f"INSERT OR IGNORE INTO {{table}} ({EVENT_COLUMNS}) "
    "SELECT id, seq, 1, 'ENQUEUED', enqueued_at, queue, 'PENDING', 0, 0, ready_at, NULL, NULL, NULL "
    "FROM task WHERE seq BETWEEN ? AND ?"
)
