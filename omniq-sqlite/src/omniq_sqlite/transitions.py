"""Transitions of single tasks: load the record, let the core's state machine decide, write the difference.

The frequent ones (enqueue, claim, complete) have set-based statements of their own in `enqueuing`, `claiming` and
`settling`; everything rarer, and every batch in which something is unusual, comes through here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from omniq.models.event import Event, EventType
from omniq.models.record import Enqueued
from omniq.models.status import TaskStatus
from omniq.storage import transitions
from omniq_sqlite.rows import BODY_COLUMNS, CODES, TASK_QUERY, body_values, is_large, record_from

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from omniq.models.record import (
        CancelReply,
        Completion,
        Failure,
        RedriveReply,
        Release,
        SettleReply,
        TaskRecord,
        TaskSpec,
        Token,
    )
    from omniq.models.result import ResultRecord
    from omniq.storage.transitions import Step
    from omniq_sqlite.ledger import Ledger

__all__ = [
    "add_one",
    "cancel",
    "complete",
    "fail",
    "fail_damaged",
    "load",
    "recover",
    "redrive",
    "release",
]

_NEW_COLUMNS = (
    "seq, id, queue, priority, ready_at, eta, max_attempts, unique_key, expires_at, interval_ms, series_id, "
    f"nominal_at, pinned, enqueued_at, {BODY_COLUMNS}"
)
"""What a new task's row does not have by default."""
_ADD_TASK = f"INSERT INTO task ({_NEW_COLUMNS}) VALUES ({', '.join('?' * 21)})"
_ADD_BODY = "INSERT INTO body (seq, args, kwargs) VALUES (?, ?, ?)"

_STALE = (
    f"{TASK_QUERY} WHERE task.state = 1 AND task.queue IN (SELECT value FROM json_each(?)) AND task.lease_until <= ?"
)
_EXPIRED = (
    f"{TASK_QUERY} WHERE task.state = 0 AND task.queue IN (SELECT value FROM json_each(?)) AND task.expires_at <= ?"
)


def load(connection: sqlite3.Connection, task_id: str) -> TaskRecord | None:
    """Return one record."""
    row = connection.execute(f"{TASK_QUERY} WHERE task.id = ?", (task_id,)).fetchone()
    return None if row is None else record_from(row)


def _next_seq(connection: sqlite3.Connection) -> int:
    """Return the sequence number of the next task."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'task'").fetchone()
    return 1 if row is None else row[0] + 1


def _new_values(spec: TaskSpec, seq: int, now: int) -> tuple[object, ...]:
    """Return the values of `_NEW_COLUMNS`; the same as `omniq.storage.transitions.create`, without the record."""
    eta, series_id, nominal_at = spec.eta, spec.series_id, spec.nominal_at
    ready_at = now if eta is None or eta < now else eta
    if spec.interval_ms is not None:
        series_id = spec.id if series_id is None else series_id
        nominal_at = ready_at if nominal_at is None else nominal_at
    body = body_values(spec.body)
    if is_large(spec.body):
        body = (*body[:-2], None, None)
    return (
        seq,
        spec.id,
        spec.queue,
        spec.priority,
        ready_at,
        eta,
        spec.max_attempts,
        spec.unique_key,
        spec.expires_at,
        spec.interval_ms,
        series_id,
        nominal_at,
        spec.pinned,
        now,
        *body,
    )


def add_one(connection: sqlite3.Connection, ledger: Ledger, spec: TaskSpec, now: int) -> Enqueued:
    """Enqueue one task; an expired holder of its unique key is ended first."""
    if _exists(connection, spec.id):
        return Enqueued(spec.id, created=False)
    if spec.unique_key is not None:
        held = holder(connection, spec.queue, spec.unique_key)
        if held is not None and transitions.is_expired(held, now):
            take(connection, ledger, held, transitions.expire(held, now), now)
            if _exists(connection, spec.id):  # ending a run may have enqueued the next one of its series
                return Enqueued(spec.id, created=False)
            held = holder(connection, spec.queue, spec.unique_key)
        if held is not None:
            return Enqueued(held.id, created=False)
    seq = _next_seq(connection)
    values = _new_values(spec, seq, now)
    connection.execute(_ADD_TASK, values)
    if is_large(spec.body):
        connection.execute(_ADD_BODY, (seq, *body_values(spec.body)[-2:]))
    ledger.note(connection, [_enqueued(spec, seq, values[4], now)])
    return Enqueued(spec.id, created=True)


def _exists(connection: sqlite3.Connection, task_id: str) -> bool:
    return connection.execute("SELECT 1 FROM task WHERE id = ?", (task_id,)).fetchone() is not None


def _enqueued(spec: TaskSpec, seq: int, ready_at: object, now: int) -> Event:
    return Event(
        task_id=spec.id,
        seq=seq,
        version=1,
        type=EventType.ENQUEUED,
        at=now,
        queue=spec.queue,
        state=TaskStatus.PENDING,
        ready_at=ready_at,  # type: ignore[arg-type]
    )


def take(
    connection: sqlite3.Connection,
    ledger: Ledger,
    record: TaskRecord,
    step: Step,
    now: int,
    result: ResultRecord | None = None,
) -> None:
    """Make a step: write the changed columns, the event, the result of an ended task and the next run of its series."""
    following = transitions.successor(record, step, now)
    event = transitions.apply(record, step, now)
    changes = {**step.changes, "version": record.version}
    if record.worker is None:
        changes.pop("worker", None)  # the row keeps the latest worker
    if "state" in changes:
        changes["state"] = CODES[record.state]
    columns = ", ".join(f"{name} = ?" for name in changes)
    connection.execute(f"UPDATE task SET {columns} WHERE seq = ?", [*changes.values(), record.seq])
    ledger.note(connection, [event])
    if record.state.is_terminal:
        ledger.settle(connection, record, result, now)
    if following is not None:
        add_one(connection, ledger, following, now)


def cancel(connection: sqlite3.Connection, ledger: Ledger, ids: Sequence[str], now: int) -> list[CancelReply]:
    """Cancel each task, or ask for it."""
    replies: list[CancelReply] = []
    for task_id in ids:
        record = load(connection, task_id)
        if record is None:
            replies.append("missing")
        elif record.state.is_terminal:
            replies.append("finished")
        else:
            step = transitions.cancel(record, now)
            if step is not None:
                take(connection, ledger, record, step, now)
            replies.append("requested" if record.state is TaskStatus.RUNNING else "cancelled")
    return replies


def redrive(connection: sqlite3.Connection, ledger: Ledger, ids: Sequence[str], now: int) -> list[RedriveReply]:
    """Put each ended task back."""
    replies: list[RedriveReply] = []
    for task_id in ids:
        record = load(connection, task_id)
        if record is None:
            replies.append("missing")
        elif record.state not in transitions.REDRIVABLE:
            replies.append("invalid")
        elif record.unique_key is not None and holder(connection, record.queue, record.unique_key) is not None:
            replies.append("conflict")
        else:
            take(connection, ledger, record, transitions.redrive(record, now), now)
            replies.append("ok")
    return replies


def holder(connection: sqlite3.Connection, queue: str, unique_key: str) -> TaskRecord | None:
    """Return the live task that holds a unique key."""
    row = connection.execute(
        f"{TASK_QUERY} WHERE task.queue = ? AND task.unique_key = ? AND task.state < 2", (queue, unique_key)
    ).fetchone()
    return None if row is None else record_from(row)


def complete(
    connection: sqlite3.Connection, ledger: Ledger, items: Sequence[Completion], now: int
) -> list[SettleReply]:
    """Complete each run."""
    return [
        _settle(connection, ledger, item.id, item.token, lambda r: transitions.complete(r, now), now, item.result, "ok")
        for item in items
    ]


def fail(connection: sqlite3.Connection, ledger: Ledger, items: Sequence[Failure], now: int) -> list[SettleReply]:
    """Fail each run."""
    return [
        _settle(
            connection,
            ledger,
            item.id,
            item.token,
            lambda r, item=item: transitions.fail(r, now, error=item.error, retry_at=item.retry_at),  # type: ignore[misc]
            now,
            item.result,
        )
        for item in items
    ]


def release(connection: sqlite3.Connection, ledger: Ledger, items: Sequence[Release], now: int) -> list[SettleReply]:
    """Release each run."""
    return [
        _settle(
            connection,
            ledger,
            item.id,
            item.token,
            lambda r, item=item: transitions.release(r, now, ready_at=item.ready_at),  # type: ignore[misc]
            now,
        )
        for item in items
    ]


def _settle(
    connection: sqlite3.Connection,
    ledger: Ledger,
    task_id: str,
    token: Token,
    decide: Callable[[TaskRecord], Step],
    now: int,
    result: ResultRecord | None = None,
    reply: SettleReply | None = None,
) -> SettleReply:
    record = load(connection, task_id)
    if record is None or not transitions.is_current(record, token):
        return transitions.settled_reply(record, token)
    take(connection, ledger, record, decide(record), now, result)
    return reply or record.state.value  # type: ignore[return-value]


def recover(
    connection: sqlite3.Connection, ledger: Ledger, queues: Sequence[str], limit: int, now: int
) -> list[tuple[str, TaskStatus]]:
    """Take stale runs from their workers and end expired tasks, at most `limit`."""
    names = json.dumps(list(queues))
    done: list[tuple[str, TaskStatus]] = []
    for query, order, decide in (
        (_STALE, "task.lease_until, task.seq", transitions.recover),
        (_EXPIRED, "task.expires_at, task.seq", transitions.expire),
    ):
        rows = connection.execute(f"{query} ORDER BY {order} LIMIT ?", (names, now, limit - len(done))).fetchall()
        for record in map(record_from, rows):
            take(connection, ledger, record, decide(record, now), now)
            done.append((record.id, record.state))
    return done


def fail_damaged(connection: sqlite3.Connection, ledger: Ledger, seq: int, reason: str, now: int) -> None:
    """End a claimed task that cannot be decoded, so that it never blocks its queue; its row stays to be seen."""
    record = record_from(connection.execute(f"{TASK_QUERY} WHERE task.seq = ?", (seq,)).fetchone())
    take(connection, ledger, record, transitions.fail(record, now, error=reason, retry_at=None), now)
