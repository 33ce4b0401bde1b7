"""Claim the best ready tasks with few statements.

The rows of a claim come back as one JSON text: a row of its own for each task would release and take the interpreter's
lock once a row, which starves this thread beside a busy event loop.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from omniq.models.record import NO_HEADERS, Grant, TaskBody, Token
from omniq_sqlite.rows import EVENT_COLUMNS
from omniq_sqlite.transitions import recover

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from omniq_sqlite.ledger import Ledger

__all__ = ["Claimed", "claim", "grants_of", "held"]

_LOOK = """
SELECT EXISTS (SELECT 1 FROM task WHERE state = 1 AND queue = :queue AND lease_until <= :now)
    OR EXISTS (SELECT 1 FROM task WHERE state = 0 AND queue = :queue AND expires_at <= :now),
    EXISTS (SELECT 1 FROM paused WHERE queue = :queue)
"""
_COLUMNS = (
    "priority, ready_at, seq, id, epoch, attempts, max_attempts, queue, enqueued_at, series_id, nominal_at, func, "
    "codec, headers, timeout_ms, result_ttl_ms, args, kwargs"
)
# What a JSON text can hold: a blob goes as hex digits, and large arguments come from their own table.
_VALUES = _COLUMNS.removesuffix("args, kwargs") + ", ".join(
    f"CASE typeof({name}) WHEN 'text' THEN {name} WHEN 'blob' THEN hex({name}) ELSE "
    f"(SELECT CASE typeof({name}) WHEN 'blob' THEN hex({name}) ELSE {name} END "
    "FROM body WHERE body.seq = found.seq) END"
    for name in ("args", "kwargs")
)
# One range a priority: a single range over all would walk through every delayed task of a higher priority.
_OF_PRIORITY = """
SELECT * FROM (
    SELECT {columns} FROM task
    WHERE state = 0 AND queue = :queue AND priority = {priority} AND ready_at <= :now
        AND (expires_at IS NULL OR expires_at > :now) -- one sweep may leave some expired ones
    ORDER BY ready_at, seq LIMIT :limit
)
"""
_READY = (
    f"SELECT json_group_array(found.seq), json_group_array(json_array({_VALUES})) FROM ("
    + " UNION ALL ".join(_OF_PRIORITY.format(columns=_COLUMNS, priority=priority) for priority in range(9, -1, -1))
    + " LIMIT :limit) AS found"
)
_HELD = (
    f"SELECT json_group_array(json_array({_VALUES}, lease_until)) FROM ("
    "SELECT * FROM task WHERE state = 1 AND worker = ? AND nonce = ? ORDER BY priority DESC, ready_at, seq) AS found"
)
_START = """
UPDATE task SET state = 1, epoch = epoch + 1, attempts = attempts + 1, nonce = ?, lease_until = ?, worker = ?,
    started_at = ?, version = version + 1
WHERE seq IN (SELECT value FROM json_each(?))
"""
_NOTE = (
    f"INSERT OR IGNORE INTO {{table}} ({EVENT_COLUMNS}) "
    "SELECT id, seq, version, 'STARTED', started_at, queue, 'RUNNING', attempts, epoch, NULL, worker, NULL, NULL "
    "FROM task WHERE seq IN (SELECT value FROM json_each(?))"
)


class Claimed(NamedTuple):
    """What a claim has started, as the database gave it; `grants_of` makes grants of it in the event loop."""

    rows: str | list[list[Any]]
    claim_id: str
    lease_until: int


def claim(
    connection: sqlite3.Connection,
    ledger: Ledger,
    queues: Sequence[str],
    limit: int,
    worker: str,
    lease_ms: int,
    claim_id: str,
    max_sweep: int,
    now: int,
) -> Claimed | None:
    """Recover the queues, then start the best ready tasks of those that are not paused."""
    overdue, open_queues = [], []
    for queue in dict.fromkeys(queues):
        dirty, paused = connection.execute(_LOOK, {"queue": queue, "now": now}).fetchone()
        if dirty:
            overdue.append(queue)
        if not paused:
            open_queues.append(queue)
    if overdue:
        recover(connection, ledger, overdue, max_sweep, now)
    if limit <= 0:
        return None
    seqs, rows = _ready(connection, open_queues, limit, now)
    if seqs == "[]":
        return None
    connection.execute(_START, (claim_id, now + lease_ms, worker, now, seqs))
    for table in ledger.tables(terminal=False):
        connection.execute(_NOTE.format(table=table), (seqs,))
    return Claimed(rows, claim_id, now + lease_ms)


def _ready(
    connection: sqlite3.Connection, queues: Sequence[str], limit: int, now: int
) -> tuple[str, str | list[list[Any]]]:
    """Return the seqs of the best ready tasks as JSON, and their rows."""
    found = [connection.execute(_READY, {"queue": queue, "now": now, "limit": limit}).fetchone() for queue in queues]
    if len(found) == 1:
        return found[0]  # type: ignore[no-any-return]
    rows: list[list[Any]] = [row for _, text in found for row in json.loads(text)]
    rows.sort(key=lambda row: (-row[0], row[1], row[2]))
    del rows[limit:]
    return json.dumps([row[2] for row in rows], separators=(",", ":")), rows


def grants_of(claimed: Claimed) -> tuple[list[Grant], list[tuple[int, str]]]:
    """Make grants; apart from them (seq, reason) of what cannot be decoded and has to go through `fail_damaged`."""
    rows = json.loads(claimed.rows) if isinstance(claimed.rows, str) else claimed.rows
    return _grants([(row, row[4] + 1, row[5] + 1, claimed.lease_until) for row in rows], claimed.claim_id)


def held(connection: sqlite3.Connection, worker: str, claim_id: str) -> list[Grant]:
    """Return what is still running under a claim."""
    rows = json.loads(connection.execute(_HELD, (worker, claim_id)).fetchone()[0])
    return _grants([(row, row[4], row[5], row[-1]) for row in rows], claim_id)[0]


def _grants(rows: list[tuple[list[Any], int, int, int]], claim_id: str) -> tuple[list[Grant], list[tuple[int, str]]]:
    """Make grants of (row, epoch, attempt, lease_until)."""
    grants, damaged = [], []
    for row, epoch, attempt, lease_until in rows:
        try:
            grants.append(_grant(row, Token(row[2], epoch, claim_id), attempt, lease_until))
        except (TypeError, ValueError, AttributeError) as error:
            damaged.append((row[2], f"The stored task cannot be decoded: {error}"))
    return grants, damaged


def _grant(row: list[Any], token: Token, attempt: int, lease_until: int) -> Grant:
    (
        priority, ready_at, _, task_id, _, _, max_attempts, queue, enqueued_at, series_id, nominal_at, func, codec,
        headers, timeout_ms, result_ttl_ms, args, kwargs, *_,
    ) = row  # fmt: skip
    is_json = codec == "json"
    body = TaskBody(
        func=func,
        args=args.encode() if is_json else bytes.fromhex(args),
        kwargs=kwargs.encode() if is_json else bytes.fromhex(kwargs),
        codec=codec,
        headers=json.loads(headers) if headers else NO_HEADERS,
        timeout_ms=timeout_ms,
        result_ttl_ms=result_ttl_ms,
    )
    return Grant(
        task_id,
        token,
        attempt,
        max_attempts,
        queue,
        priority,
        enqueued_at,
        ready_at,
        lease_until,
        body,
        series_id,
        nominal_at,
    )
