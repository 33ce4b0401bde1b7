"""Complete many runs, and renew many leases, with few statements."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from omniq_sqlite import transitions
from omniq_sqlite.ledger import PUT_RESULT
from omniq_sqlite.rows import EVENT_COLUMNS, text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from omniq.models.record import Completion, HeartbeatReply, SettleReply, Token
    from omniq.models.result import ResultRecord
    from omniq_sqlite.ledger import Ledger

__all__ = ["Settlement", "complete", "heartbeat", "prepare"]

_encode = json.JSONEncoder(separators=(",", ":")).encode

# Tokens that differ only in seq share a statement; nearly always that is the whole batch, since they are of one claim.
_COMPLETE = """
UPDATE task SET state = 2, version = version + 1, lease_until = NULL, cancel_requested = 0, finished_at = ?
WHERE seq IN (SELECT value FROM json_each(?)) AND state = 1 AND epoch = ? AND nonce = ? AND series_id IS NULL
"""
_SAME = """
SELECT count(*) FROM json_each(?) AS given
CROSS JOIN task ON task.seq = json_extract(given.value, '$[0]') AND task.id = json_extract(given.value, '$[1]')
"""
_NOTE = (
    f"INSERT OR IGNORE INTO {{table}} ({EVENT_COLUMNS}) "
    "SELECT id, seq, version, 'COMPLETED', :now, queue, 'COMPLETED', attempts, epoch, NULL, worker, NULL, "
    ":now - started_at FROM task WHERE seq IN (SELECT value FROM json_each(:seqs))"
)
_PUT_JSON = PUT_RESULT.format(
    source="""
    SELECT task.id, task.seq, task.epoch, 'COMPLETED', 'json', json_extract(given.value, '$[2]'), NULL,
        json_extract(given.value, '$[3]'), :now, :now + json_extract(given.value, '$[3]')
    FROM json_each(:results) AS given
    CROSS JOIN task ON task.seq = json_extract(given.value, '$[0]') AND task.id = json_extract(given.value, '$[1]')
    WHERE true
    """
)


class Settlement(NamedTuple):
    """Completions, laid out for their statements.

    Attributes:
        items: The completions themselves, for when they have to go one by one.
        groups: (seqs as JSON, how many, epoch, nonce); nearly always one, because they are of one claim.
        seqs: All seqs as JSON.
        results: (seq, id, value, ttl_ms) of each as JSON, if all have a JSON value without a NUL, else None.
    """

    items: Sequence[Completion]
    groups: list[tuple[str, int, int, str]]
    seqs: str
    results: str | None


def prepare(items: Sequence[Completion]) -> Settlement:
    """Lay completions out for `complete`; done by the caller, in the event loop, to spare the writer's thread."""
    groups: dict[tuple[int, str], list[int]] = {}
    for _, (seq, epoch, nonce), _ in items:
        groups.setdefault((epoch, nonce), []).append(seq)
    results = None
    if all(result is not None and _is_text(result) for _, _, result in items):
        results = _encode([(token.seq, task_id, _text(result), result.ttl_ms) for task_id, token, result in items])  # type: ignore[union-attr]
    return Settlement(
        items,
        [(_encode(seqs), len(seqs), epoch, nonce) for (epoch, nonce), seqs in groups.items()],
        _encode([token.seq for _, token, _ in items]),
        results,
    )


def complete(connection: sqlite3.Connection, ledger: Ledger, settlement: Settlement, now: int) -> list[SettleReply]:
    """Complete runs; a batch in which any token is stale, or any task in a series, goes one by one."""
    connection.execute("SAVEPOINT complete")
    if _complete_all(connection, ledger, settlement, now):
        connection.execute("RELEASE complete")
        return ["ok"] * len(settlement.items)
    connection.execute("ROLLBACK TO complete")
    connection.execute("RELEASE complete")
    return transitions.complete(connection, ledger, settlement.items, now)


def _complete_all(connection: sqlite3.Connection, ledger: Ledger, settlement: Settlement, now: int) -> bool:
    for seqs, count, epoch, nonce in settlement.groups:
        if connection.execute(_COMPLETE, (now, seqs, epoch, nonce)).rowcount != count:
            return False
    if not _put(connection, ledger, settlement, now):
        return False
    for table in ledger.tables(terminal=True):
        connection.execute(_NOTE.format(table=table), {"seqs": settlement.seqs, "now": now})
    return True


def _put(connection: sqlite3.Connection, ledger: Ledger, settlement: Settlement, now: int) -> bool:
    """Store the results, and check on the way that every id belongs to its token."""
    count = len(settlement.items)
    if ledger.has_results and settlement.results is not None:
        return connection.execute(_PUT_JSON, {"results": settlement.results, "now": now}).rowcount == count
    pairs = _encode([(item.token.seq, item.id) for item in settlement.items])
    if connection.execute(_SAME, (pairs,)).fetchone()[0] != count:
        return False
    if ledger.has_results:
        for item in settlement.items:
            record = transitions.load(connection, item.id)
            if record is not None:
                ledger.settle(connection, record, item.result, now)
    return True


def _is_text(result: ResultRecord) -> bool:
    """Tell whether the value can go through SQLite's JSON functions, which end a text at its first NUL."""
    return result.codec == "json" and (result.value is None or b"\0" not in result.value)


def _text(result: ResultRecord | None) -> str | None:
    return None if result is None or result.value is None else text(result.value)


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
