"""Claim the best ready tasks with few statements.

The rows of a claim come back as one JSON text: a row of its own for each task would release and take the interpreter's
lock once a row, which starves this thread beside a busy event loop.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omniq.errors import StoreFormatError
from omniq.models.record import NO_HEADERS, Grant, TaskBody, Token
from omniq_sqlite.rows import EVENT_COLUMNS
from omniq_sqlite.transitions import fail_damaged, recover

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from omniq_sqlite.ledger import Ledger

__all__ = ["claim", "held"]

_LOOK = """
SELECT EXISTS (SELECT 1 FROM task WHERE state = 1 AND queue = ?1 AND lease_until <= ?2)
    OR EXISTS (SELECT 1 FROM task WHERE state = 0 AND queue = ?1 AND expires_at <= ?2),
    EXISTS (SELECT 1 FROM paused WHERE queue = ?1)
"""
# One range a priority: a single range over all would walk through every delayed task of a higher priority.
_OF_PRIORITY = """
SELECT * FROM (
    SELECT priority, ready_at, seq FROM task
    WHERE state = 0 AND queue = ?1 AND priority = {priority} AND ready_at <= ?2 ORDER BY ready_at, seq LIMIT ?3
)
"""
_READY = (
    "SELECT json_group_array(json_array(priority, ready_at, seq)) FROM ("  # noqa: S608
    + " UNION ALL ".join(_OF_PRIORITY.format(priority=priority) for priority in range(9, -1, -1))
    + " LIMIT ?3)"
)
_START = """
UPDATE task SET state = 1, epoch = epoch + 1, attempts = attempts + 1, nonce = ?2, lease_until = ?3, worker = ?4,
    started_at = ?5, version = version + 1
WHERE seq IN (SELECT value FROM json_each(?1))
"""
_NOTE = (
    f"INSERT OR IGNORE INTO {{table}} ({EVENT_COLUMNS}) "
    "SELECT id, seq, version, 'STARTED', started_at, queue, 'RUNNING', attempts, epoch, NULL, worker, NULL, NULL "
    "FROM task WHERE seq IN (SELECT value FROM json_each(?1))"
)
_GRANTS = """
SELECT json_group_array(json_array(
    task.id, task.seq, task.epoch, task.nonce, task.attempts, task.max_attempts, task.queue, task.priority,
    task.enqueued_at, task.ready_at, task.lease_until, task.series_id, task.nominal_at,
    body.func, body.codec,
    CASE WHEN typeof(body.args) = 'blob' THEN hex(body.args) ELSE body.args END,
    CASE WHEN typeof(body.kwargs) = 'blob' THEN hex(body.kwargs) ELSE body.kwargs END,
    body.headers, body.timeout_ms, body.result_ttl_ms
))
FROM {source} LEFT JOIN body ON body.seq = task.seq
"""
_CLAIMED = _GRANTS.format(source="json_each(?1) AS wanted CROSS JOIN task ON task.seq = wanted.value")
_HELD = _GRANTS.format(
    source="(SELECT * FROM task WHERE state = 1 AND worker = ?1 AND nonce = ?2 ORDER BY priority DESC, ready_at, seq) AS task"
)


def claim(  # noqa: PLR0913 - the parameters of TaskQueue.claim
    connection: sqlite3.Connection,
    ledger: Ledger,
    queues: Sequence[str],
    limit: int,
    worker: str,
    lease_ms: int,
    claim_id: str,
    max_sweep: int,
    now: int,
) -> list[Grant]:
    """Recover the queues, then start the best ready tasks of those that are not paused."""
    ready: list[list[int]] = []
    names = dict.fromkeys(queues)
    for queue in names:
        dirty, paused = connection.execute(_LOOK, (queue, now)).fetchone()
        if dirty:
            recover(connection, ledger, [queue], max_sweep, now)
        names[queue] = paused
    for queue, paused in names.items():
        if not paused and limit > 0:
            ready += json.loads(connection.execute(_READY, (queue, now, limit)).fetchone()[0])
    if not ready:
        return []
    if len(names) > 1:
        ready.sort(key=lambda rank: (-rank[0], rank[1], rank[2]))
    wanted = json.dumps([seq for _, _, seq in ready[:limit]])
    connection.execute(_START, (wanted, claim_id, now + lease_ms, worker, now))
    for table in ledger.tables(terminal=False):
        connection.execute(_NOTE.format(table=table), (wanted,))
    return _grants(connection, ledger, connection.execute(_CLAIMED, (wanted,)).fetchone()[0], now)


def held(connection: sqlite3.Connection, ledger: Ledger, worker: str, claim_id: str, now: int) -> list[Grant]:
    """Return what is still running under a claim."""
    return _grants(connection, ledger, connection.execute(_HELD, (worker, claim_id)).fetchone()[0], now)


def _grants(connection: sqlite3.Connection, ledger: Ledger, text: str, now: int) -> list[Grant]:
    grants = []
    for row in json.loads(text):
        try:
            grants.append(_grant(row))
        except StoreFormatError as error:
            fail_damaged(connection, ledger, row[1], str(error), now)
    return grants


def _grant(row: list[Any]) -> Grant:
    (
        task_id, seq, epoch, nonce, attempt, max_attempts, queue, priority, enqueued_at, ready_at, lease_until,
        series_id, nominal_at, func, codec, args, kwargs, headers, timeout_ms, result_ttl_ms,
    ) = row  # fmt: skip
    try:
        if codec == "json":
            body = TaskBody(
                func=func,
                args=args.encode(),
                kwargs=kwargs.encode(),
                headers=json.loads(headers) if headers else NO_HEADERS,
                timeout_ms=timeout_ms,
                result_ttl_ms=result_ttl_ms,
            )
        else:
            body = TaskBody(
                func=func,
                args=bytes.fromhex(args),
                kwargs=bytes.fromhex(kwargs),
                codec=codec,
                headers=json.loads(headers) if headers else NO_HEADERS,
                timeout_ms=timeout_ms,
                result_ttl_ms=result_ttl_ms,
            )
    except (TypeError, ValueError, AttributeError) as error:
        msg = f"The stored body of the task cannot be decoded: {error}"
        raise StoreFormatError(msg) from error
    return Grant(
        task_id,
        Token(seq, epoch, nonce),
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
