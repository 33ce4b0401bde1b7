"""Enqueue many tasks with few statements.

Every SQLite step releases the interpreter's lock and has to wait for it again, so a hundred rows go into one statement.
Its values are laid out by the caller, in the event loop, so that the writer's thread has only to execute it.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from omniq.models.record import Enqueued
from omniq_sqlite.rows import EVENT_COLUMNS, body_values, is_large, stored
from omniq_sqlite.transitions import add_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import TaskSpec
    from omniq_sqlite.ledger import Ledger

__all__ = ["Chunk", "enqueue", "prepare"]

CHUNK = 100

# The columns that the values of a row go to; a task with usual options needs only a short row.
_PLAIN = ("id", "queue", "priority", "max_attempts", "func", "codec", "timeout_ms", "result_ttl_ms", "args", "kwargs")
_FULL = (
    "id", "queue", "priority", "eta", "max_attempts", "unique_key", "expires_at", "pinned",
    "func", "codec", "headers", "timeout_ms", "result_ttl_ms", "args", "kwargs",
)  # fmt: skip
_NOTE = (
    f"INSERT OR IGNORE INTO {{table}} ({EVENT_COLUMNS}) "
    "SELECT id, seq, 1, 'ENQUEUED', enqueued_at, queue, 'PENDING', 0, 0, ready_at, NULL, NULL, NULL "
    "FROM task WHERE seq BETWEEN ? AND ?"
)


class Chunk(NamedTuple):
    """Tasks for one statement; without a statement they go one by one."""

    specs: Sequence[TaskSpec]
    statement: str | None
    values: list[Any]


def prepare(specs: Sequence[TaskSpec]) -> list[Chunk]:
    """Lay the tasks out for `enqueue`."""
    return [_prepare(specs[start : start + CHUNK]) for start in range(0, len(specs), CHUNK)]


def _prepare(specs: Sequence[TaskSpec]) -> Chunk:
    if all(map(_is_plain, specs)):
        return Chunk(specs, _insert(_PLAIN, len(specs)), list(chain.from_iterable(map(_plain_values, specs))))
    if any(spec.interval_ms is not None or spec.series_id is not None or is_large(spec.body) for spec in specs):
        return Chunk(specs, None, [])
    return Chunk(specs, _insert(_FULL, len(specs)), list(chain.from_iterable(map(_full_values, specs))))


def enqueue(connection: sqlite3.Connection, ledger: Ledger, chunks: Sequence[Chunk], now: int) -> list[Enqueued]:
    """Enqueue tasks in order; a chunk that has a known id or a held unique key goes one by one."""
    replies: list[Enqueued] = []
    for chunk in chunks:
        if chunk.statement is None or not _enqueue_new(connection, ledger, chunk, now):
            replies += [add_one(connection, ledger, spec, now) for spec in chunk.specs]
        else:
            replies += [Enqueued(spec.id, True) for spec in chunk.specs]  # noqa: FBT003 - positional is half the cost
    return replies


def _enqueue_new(connection: sqlite3.Connection, ledger: Ledger, chunk: Chunk, now: int) -> bool:
    try:
        last = connection.execute(chunk.statement or "", [*chunk.values, now]).lastrowid or 0
    except sqlite3.IntegrityError:
        return False  # the statement was undone as a whole
    for table in ledger.tables(terminal=False):
        connection.execute(_NOTE.format(table=table), (last - len(chunk.specs) + 1, last))
    return True


def _is_plain(spec: TaskSpec) -> bool:
    """Tell whether most columns of the task's row have their default."""
    body = spec.body
    return (
        spec.eta is None
        and spec.unique_key is None
        and spec.expires_at is None
        and spec.interval_ms is None
        and spec.series_id is None
        and not spec.pinned
        and not body.headers
        and not is_large(body)
    )


def _plain_values(spec: TaskSpec) -> tuple[Any, ...]:
    body = spec.body
    codec = body.codec
    return (
        spec.id,
        spec.queue,
        spec.priority,
        spec.max_attempts,
        body.func,
        codec,
        body.timeout_ms,
        body.result_ttl_ms,
        stored(body.args, codec),
        stored(body.kwargs, codec),
    )


def _full_values(spec: TaskSpec) -> tuple[Any, ...]:
    return (
        spec.id,
        spec.queue,
        spec.priority,
        spec.eta,
        spec.max_attempts,
        spec.unique_key,
        spec.expires_at,
        spec.pinned,
        *body_values(spec.body),
    )


@cache
def _insert(columns: tuple[str, ...], rows: int) -> str:
    """Return the statement; its last parameter is the time."""
    row = f"({', '.join('?' * len(columns))})"
    eta = f"column{columns.index('eta') + 1}" if "eta" in columns else "now"
    values = ", ".join(f"column{number}" for number in range(1, len(columns) + 1))
    return (
        f"INSERT INTO task ({', '.join(columns)}, enqueued_at, ready_at) "
        f"SELECT {values}, now, max(coalesce({eta}, now), now) "
        f"FROM (VALUES {', '.join([row] * rows)}) CROSS JOIN (SELECT ? AS now)"
    )
