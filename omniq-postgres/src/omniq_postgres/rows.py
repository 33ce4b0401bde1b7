"""Rows to records and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omniq.errors import StoreFormatError
from omniq.models.event import Event, EventType
from omniq.models.record import NO_HEADERS, Grant, TaskBody, TaskRecord, Token
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.transitions import reason
from omniq_postgres.texts import given, kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omniq.models.record import TaskSpec

__all__ = [
    "CODES",
    "EVENT_CODES",
    "EVENT_COLUMNS",
    "RESULT_COLUMNS",
    "STATES",
    "TASK_QUERY",
    "body_from",
    "body_values",
    "columns",
    "event_from",
    "event_values",
    "grant_from",
    "record_from",
    "result_from",
    "result_values",
    "spec_columns",
]

STATES = (TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
CODES = {state: code for code, state in enumerate(STATES)}
_EVENT_TYPES = (
    EventType.ENQUEUED,
    EventType.STARTED,
    EventType.COMPLETED,
    EventType.FAILED,
    EventType.RETRYING,
    EventType.RELEASED,
    EventType.CANCEL_REQUESTED,
    EventType.CANCELLED,
    EventType.LEASE_EXPIRED,
    EventType.EXPIRED,
    EventType.REDRIVEN,
    EventType.SCHEDULE_FIRED,
    EventType.SCHEDULE_MISFIRED,
    EventType.SCHEDULE_PAUSED,
    EventType.SCHEDULE_RESUMED,
)
EVENT_CODES = {kind: code for code, kind in enumerate(_EVENT_TYPES)}
EVENT_COLUMNS = "task, seq, version, type, at, queue, state, attempt, epoch, ready_at, worker, error, duration_ms"
RESULT_COLUMNS = "id, seq, epoch, status, value, codec, error, ttl_ms, stored_at, expires_at, told"
TASK_QUERY = (
    "SELECT h.id, h.seq, h.queue, h.priority, t.eta, h.max_attempts, h.unique_key, h.expires_at, h.interval_ms, "
    "h.series_id, h.nominal_at, h.pinned, h.ready_at, t.enqueued_at, h.state, h.attempts, h.epoch, h.nonce, h.version, "
    "h.lease_until, h.worker, h.cancel_requested, h.started_at, h.finished_at, h.error, t.func, t.codec, t.headers, "
    "t.timeout_ms, t.result_ttl_ms, t.args, t.kwargs FROM omniq.head AS h JOIN omniq.task AS t ON t.seq = h.seq"
)
"""Selects what `record_from` reads."""


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Return rows as columns, also where there are no rows; a column without values is empty."""
    found = [_column(column) for column in zip(*rows, strict=True)]
    return found or [[] for _ in range(width)]


def _column(values: Sequence[Any]) -> list[Any]:
    has_none = bool(values) and values[0] is None and values.count(None) == len(values)
    return [] if has_none else list(values)


def _once(values: list[Any]) -> list[Any]:
    """Return a column as the function `enqueue` takes it: once if it has the same value everywhere."""
    return values[:1] if values and values.count(values[0]) == len(values) else values


def spec_columns(specs: Sequence[TaskSpec]) -> list[list[Any]]:
    """Return what the function `enqueue` takes of tasks."""
    bodies = [spec.body for spec in specs]
    headers = [json.dumps(dict(body.headers)) if body.headers else None for body in bodies]
    return [
        [kept(spec.id) for spec in specs],
        _texts([spec.queue for spec in specs]),
        _once([spec.priority for spec in specs]),
        _column([spec.eta for spec in specs]),
        _once([spec.max_attempts for spec in specs]),
        [*map(kept, _column([spec.unique_key for spec in specs]))],
        _column([spec.expires_at for spec in specs]),
        _column([spec.interval_ms for spec in specs]),
        [*map(kept, _column([spec.series_id for spec in specs]))],
        _column([spec.nominal_at for spec in specs]),
        _once([spec.pinned for spec in specs]),
        _texts([body.func for body in bodies]),
        _texts([body.codec for body in bodies]),
        _column(headers),
        _column([body.timeout_ms for body in bodies]),
        _column([body.result_ttl_ms for body in bodies]),
        [body.args for body in bodies],
        [body.kwargs for body in bodies],
    ]


def _texts(values: list[str]) -> list[str]:
    return [*map(kept, _once(values))]


# Tasks


def body_values(body: TaskBody) -> tuple[Any, ...]:
    """Return func, codec, headers, timeout_ms, result_ttl_ms, args and kwargs as they are stored."""
    headers = json.dumps(dict(body.headers)) if body.headers else None
    return kept(body.func), kept(body.codec), headers, body.timeout_ms, body.result_ttl_ms, body.args, body.kwargs


def body_from(values: Sequence[Any]) -> TaskBody:
    """Make a body from what `body_values` returned.

    Raises:
        StoreFormatError: The headers are damaged.
    """
    func, codec, headers, timeout_ms, result_ttl_ms, args, kwargs = values
    try:
        return TaskBody(
            func=given(func),
            args=args,
            kwargs=kwargs,
            codec=given(codec),
            headers=dict(json.loads(headers)) if headers else NO_HEADERS,
            timeout_ms=timeout_ms,
            result_ttl_ms=result_ttl_ms,
        )
    except (TypeError, ValueError) as error:
        raise StoreFormatError(f"The body of the task is damaged: {error} in {headers!r:.500}") from error


def grant_from(row: Sequence[Any], nonce: str) -> Grant:
    """Make a grant from a row of the function `claim`.

    Raises:
        StoreFormatError: The body is damaged.
    """
    (
        task_id, seq, epoch, attempt, max_attempts, queue, priority, enqueued_at, ready_at, lease_until, series_id,
        nominal_at, *body,
    ) = row  # fmt: skip
    return Grant(
        given(task_id),
        Token(seq, epoch, nonce),
        attempt,
        max_attempts,
        given(queue),
        priority,
        enqueued_at,
        ready_at,
        lease_until,
        body_from(body),
        given(series_id),
        nominal_at,
    )


def record_from(row: Sequence[Any]) -> TaskRecord:
    """Make a record from a row of `TASK_QUERY`; a damaged body is shown as it is rather than raised."""
    (
        task_id, seq, queue, priority, eta, max_attempts, unique_key, expires_at, interval_ms, series_id, nominal_at,
        pinned, ready_at, enqueued_at, state, attempts, epoch, nonce, version, lease_until, worker, cancel_requested,
        started_at, finished_at, error, *values,
    ) = row  # fmt: skip
    try:
        body = body_from(values)
    except StoreFormatError:
        func, codec, _, timeout_ms, result_ttl_ms, args, kwargs = values
        body = TaskBody(
            func=func, args=args, kwargs=kwargs, codec=codec, timeout_ms=timeout_ms, result_ttl_ms=result_ttl_ms
        )
    return TaskRecord(
        id=given(task_id),
        body=body,
        seq=seq,
        queue=given(queue),
        priority=priority,
        eta=eta,
        max_attempts=max_attempts,
        unique_key=given(unique_key),
        expires_at=expires_at,
        interval_ms=interval_ms,
        series_id=given(series_id),
        nominal_at=nominal_at,
        pinned=pinned,
        ready_at=ready_at,
        enqueued_at=enqueued_at,
        state=STATES[state],
        attempts=attempts,
        epoch=epoch,
        nonce=given(nonce),
        version=version,
        lease_until=lease_until,
        worker=given(worker) if STATES[state] is TaskStatus.RUNNING else None,
        cancel_requested=cancel_requested,
        started_at=started_at,
        finished_at=finished_at,
        error=given(error),
    )


# Results


def result_values(record: ResultRecord) -> tuple[Any, ...]:
    """Return what the function `put_results` takes of an outcome."""
    return (
        kept(record.id),
        record.seq,
        record.epoch,
        CODES[record.status],
        record.value,
        kept(record.codec),
        kept(record.error),
        record.ttl_ms,
    )


def result_from(row: Sequence[Any]) -> ResultRecord:
    """Make an outcome from a row of `RESULT_COLUMNS`; one that no worker reported tells why the task ended."""
    task_id, seq, epoch, status, value, codec, error, ttl_ms, stored_at, expires_at, told = row
    state, text = STATES[status], given(error)
    if told and state is not TaskStatus.COMPLETED:
        text = reason(state, text).to_json()
    return ResultRecord(given(task_id), seq, epoch, state, value, given(codec), text, ttl_ms, stored_at, expires_at)


# Events


def event_values(event: Event) -> tuple[Any, ...]:
    """Return the values of `EVENT_COLUMNS`."""
    return (
        kept(event.task_id),
        event.seq,
        event.version,
        EVENT_CODES[event.type],
        event.at,
        kept(event.queue),
        None if event.state is None else CODES[event.state],
        event.attempt,
        event.epoch,
        event.ready_at,
        kept(event.worker),
        kept(event.error),
        event.duration_ms,
    )


def event_from(row: Sequence[Any], position: str | None = None) -> Event:
    """Make an event from the values of `EVENT_COLUMNS`."""
    task, seq, version, kind, at, queue, state, attempt, epoch, ready_at, worker, error, duration_ms = row
    return Event(
        task_id=given(task),
        seq=seq,
        version=version,
        type=_EVENT_TYPES[kind],
        at=at,
        queue=given(queue),
        state=None if state is None else STATES[state],
        attempt=attempt,
        epoch=epoch,
        ready_at=ready_at,
        worker=given(worker),
        error=given(error),
        duration_ms=duration_ms,
        position=position,
    )
