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
    plain = all(map(_is_plain, specs))
    columns, values_of = (_PLAIN_COLUMNS, _plain_values) if plain else (NEW_COLUMNS, new_values)
    values = list(chain.from_iterable([values_of(spec, seq, now) for seq, spec in enumerate(specs, first)]))
    try:
        connection.execute(_insert(columns, size), values)
    except sqlite3.IntegrityError:
        return False  # the statement was undone as a whole
    if not plain:
        large = [(seq, *body_values(spec.body)[-2:]) for seq, spec in enumerate(specs, first) if is_large(spec.body)]
        connection.executemany(ADD_BODY, large)
    for table in ledger.tables(terminal=False):
        connection.execute(_NOTE.format(table=table), (first, first + size - 1))
    return True


def _is_plain(spec: TaskSpec) -> bool:
    """Tell whether most columns of the task's row have their default, so that a shorter statement does."""
    body = spec.body
    return (
        spec.eta is None
        and spec.unique_key is None
        and spec.expires_at is None
        and spec.interval_ms is None
        and spec.series_id is None
        and not spec.pinned
        and body.codec == "json"
        and not body.headers
        and not is_large(body)
    )


def _plain_values(spec: TaskSpec, seq: int, now: int) -> tuple[object, ...]:
    body = spec.body
    return (
        seq,
        spec.id,
        spec.queue,
        spec.priority,
        now,
        spec.max_attempts,
        now,
        body.func,
        "json",
        body.timeout_ms,
        body.result_ttl_ms,
        body.args.decode(),
        body.kwargs.decode(),
    )


_PLAIN_COLUMNS = (
    "seq, id, queue, priority, ready_at, max_attempts, enqueued_at, func, codec, timeout_ms, result_ttl_ms, args, "
    "kwargs"
)


@cache
def _insert(columns: str, rows: int) -> str:
    marks = f"({', '.join('?' * (columns.count(',') + 1))})"
    return f"INSERT INTO task ({columns}) VALUES {', '.join([marks] * rows)}"


_NOTE = (
    f"INSERT OR IGNORE INTO {{table}} ({EVENT_COLUMNS}) "
    "SELECT id, seq, 1, 'ENQUEUED', enqueued_at, queue, 'PENDING', 0, 0, ready_at, NULL, NULL, NULL "
    "FROM task WHERE seq BETWEEN ? AND ?"
)
