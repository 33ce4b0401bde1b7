"""Complete many runs, and renew many leases, with few statements."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from omniq_sqlite import transitions
from omniq_sqlite.ledger import PUT_RESULT, put_results
from omniq_sqlite.rows import EVENT_COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from omniq.models.record import Completion, HeartbeatReply, SettleReply, Token
    from omniq.models.result import ResultRecord
    from omniq_sqlite.ledger import Ledger

__all__ = ["complete", "heartbeat"]

# `given` are the current runs among the tokens that are not part of a series; its two users must agree.
_GIVEN = """
json_each(?1) AS given CROSS JOIN task ON task.seq = json_extract(given.value, '$[0]')
WHERE task.state = 1 AND task.series_id IS NULL AND task.epoch = json_extract(given.value, '$[1]')
    AND task.nonce = json_extract(given.value, '$[2]') AND task.id = json_extract(given.value, '$[3]')
"""
_COUNT = f"SELECT count(DISTINCT task.seq) FROM {_GIVEN}"  # noqa: S608
_NOTE = (
    f"INSERT OR IGNORE INTO {{table}} ({EVENT_COLUMNS}) "  # noqa: S608
    "SELECT task.id, task.seq, task.version + 1, 'COMPLETED', ?2, task.queue, 'COMPLETED', task.attempts, task.epoch, "
    f"NULL, task.worker, NULL, ?2 - task.started_at FROM {_GIVEN}"
)
_COMPLETE = """
UPDATE task SET state = 2, version = version + 1, lease_until = NULL, worker = NULL, cancel_requested = 0, finished_at = ?2
WHERE seq IN (SELECT json_extract(value, '$[0]') FROM json_each(?1))
"""
_PUT_JSON = PUT_RESULT.format(
    source="""
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), 'COMPLETED', 'json',
        json_extract(value, '$[3]'), NULL, json_extract(value, '$[4]'), ?2, ?2 + json_extract(value, '$[4]')
    FROM json_each(?1) WHERE true
    """
)


def complete(connection: sqlite3.Connection, ledger: Ledger, items: Sequence[Completion], now: int) -> list[SettleReply]:
    """Complete runs; a batch in which any token is stale, or any task in a series, goes one by one."""
    tokens = json.dumps([(*item.token, item.id) for item in items])
    (matching,) = connection.execute(_COUNT, (tokens,)).fetchone()
    if matching != len(items):
        return transitions.complete(connection, ledger, items, now)
    for table in ledger.tables(terminal=True):
        connection.execute(_NOTE.format(table=table), (tokens, now))
    connection.execute(_COMPLETE, (tokens, now))
    if ledger.has_results:
        _put(connection, [item.result for item in items if item.result is not None], now)
        without = [item.id for item in items if item.result is None]
        for task_id in without:
            record = transitions.load(connection, task_id)
            if record is not None:
                ledger.settle(connection, record, None, now)
    return ["ok"] * len(items)


def _put(connection: sqlite3.Connection, results: Sequence[ResultRecord], now: int) -> None:
    if any(result.codec != "json" for result in results):
        put_results(connection, results, now)
        return
    rows = [
        (result.id, result.seq, result.epoch, None if result.value is None else result.value.decode(), result.ttl_ms)
        for result in results
    ]
    connection.execute(_PUT_JSON, (json.dumps(rows), now))


def heartbeat(
    connection: sqlite3.Connection, tokens: Sequence[tuple[str, Token]], lease_ms: int, now: int
) -> list[HeartbeatReply]:
    """Extend the leases whose token is current."""
    rows = connection.execute(
        "SELECT seq, id, epoch, nonce, cancel_requested FROM task "
        "WHERE state = 1 AND seq IN (SELECT value FROM json_each(?))",
        (json.dumps([token.seq for _, token in tokens]),),
    ).fetchall()
    current = {(task_id, (seq, epoch, nonce)): cancel for seq, task_id, epoch, nonce, cancel in rows}
    extended = [token.seq for task_id, token in tokens if (task_id, token) in current]
    connection.execute(
        "UPDATE task SET lease_until = max(lease_until, ?) WHERE seq IN (SELECT value FROM json_each(?))",
        (now + lease_ms, json.dumps(extended)),
    )
    return [_reply(current.get((task_id, token))) for task_id, token in tokens]


def _reply(cancel_requested: int | None) -> HeartbeatReply:
    if cancel_requested is None:
        return "lost"
    return "cancel" if cancel_requested else "ok"
