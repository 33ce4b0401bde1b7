"""Rows to records and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError, StoreFormatError
from omniq.models.event import Event, EventType
from omniq.models.record import NO_HEADERS, TaskBody, TaskRecord
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BODY_COLUMNS",
    "CODES",
    "EVENT_COLUMNS",
    "STATES",
    "TASK_COLUMNS",
    "TASK_QUERY",
    "body_from",
    "body_values",
    "decoded",
    "event_from",
    "event_values",
    "is_large",
    "record_from",
    "stored",
]

STATES = (TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
CODES = {state: code for code, state in enumerate(STATES)}

_HEAD = (
    "id", "seq", "queue", "priority", "eta", "max_attempts", "unique_key", "expires_at", "interval_ms", "series_id",
    "nominal_at", "pinned", "ready_at", "enqueued_at", "state", "attempts", "epoch", "nonce", "version", "lease_until",
    "worker", "cancel_requested", "started_at", "finished_at", "error",
)  # fmt: skip
_BODY = ("func", "codec", "headers", "timeout_ms", "result_ttl_ms", "args", "kwargs")
_EVENT = (
    "task", "seq", "version", "type", "at", "queue", "state", "attempt", "epoch", "ready_at", "worker", "error",
    "duration_ms",
)  # fmt: skip
LARGE = 2000
"""Bytes of arguments; more than that would not fit well on the page of the head."""
TASK_COLUMNS = ", ".join(_HEAD)
BODY_COLUMNS = ", ".join(_BODY)
EVENT_COLUMNS = ", ".join(_EVENT)
TASK_QUERY = (
    f"SELECT {', '.join(f'task.{name}' for name in (*_HEAD, *_BODY[:-2]))}, "
    "coalesce(task.args, (SELECT args FROM body WHERE body.seq = task.seq)), "
    "coalesce(task.kwargs, (SELECT kwargs FROM body WHERE body.seq = task.seq)) FROM task"
)
"""Selects what `record_from` reads."""


def stored(data: bytes, codec: str) -> str | bytes:
    """Return encoded data as it is kept: JSON as text, for people and for SQL; anything else as a blob.

    Raises:
        ConfigError: It is said to be JSON, and is not UTF-8.
    """
    return text(data) if codec == "json" else data


def text(data: bytes) -> str:
    """Return the text of JSON data.

    Raises:
        ConfigError: They are not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"Data with the codec 'json' have to be UTF-8: {error}. Give the codec they have.") from error


def decoded(value: str | bytes | None) -> bytes:
    """Return what `stored` was given."""
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value


def body_values(body: TaskBody) -> tuple[Any, ...]:
    """Return the values of `BODY_COLUMNS`."""
    codec = body.codec
    return (
        body.func,
        codec,
        json.dumps(dict(body.headers)) if body.headers else None,
        body.timeout_ms,
        body.result_ttl_ms,
        stored(body.args, codec),
        stored(body.kwargs, codec),
    )


def is_large(body: TaskBody) -> bool:
    """Tell whether the arguments are kept in a row of their own, so that a transition does not rewrite them."""
    return len(body.args) + len(body.kwargs) > LARGE


def body_from(values: Sequence[Any]) -> TaskBody:
    """Make a body from the values of `BODY_COLUMNS`.

    Raises:
        StoreFormatError: The body's row is missing or damaged.
    """
    func, codec, headers, timeout_ms, result_ttl_ms, args, kwargs = values
    try:
        return TaskBody(
            func=func,
            args=decoded(args),
            kwargs=decoded(kwargs),
            codec=codec,
            headers=dict(json.loads(headers)) if headers else NO_HEADERS,
            timeout_ms=timeout_ms,
            result_ttl_ms=result_ttl_ms,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreFormatError(f"The body of the task is damaged: {error} in {values!r:.500}") from error


def record_from(row: Sequence[Any]) -> TaskRecord:
    """Make a record from a row of `TASK_QUERY`; a damaged body is shown as it is rather than raised."""
    head = dict(zip(_HEAD, row, strict=False))
    head["state"] = state = STATES[head["state"]]
    if state is not TaskStatus.RUNNING:
        head["worker"] = None
    head["pinned"] = bool(head["pinned"])
    head["cancel_requested"] = bool(head["cancel_requested"])
    try:
        body = body_from(row[len(_HEAD) :])
    except StoreFormatError:
        func, codec, *_, args, kwargs = row[len(_HEAD) :]
        body = TaskBody(func=str(func or ""), codec=str(codec or ""), args=_raw(args), kwargs=_raw(kwargs))
    return TaskRecord(body=body, **head)


def _raw(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value if value is not None else "").encode()


def event_values(event: Event) -> tuple[Any, ...]:
    """Return the values of `EVENT_COLUMNS`."""
    return (
        event.task_id,
        event.seq,
        event.version,
        event.type.value,
        event.at,
        event.queue,
        event.state.value if event.state is not None else None,
        event.attempt,
        event.epoch,
        event.ready_at,
        event.worker,
        event.error,
        event.duration_ms,
    )


def event_from(row: Sequence[Any]) -> Event:
    """Make an event from a row of `pos` and `EVENT_COLUMNS`."""
    position, task, seq, version, kind, at, queue, state, attempt, epoch, ready_at, worker, error, duration_ms = row
    return Event(
        task_id=task,
        seq=seq,
        version=version,
        type=EventType(kind),
        at=at,
        queue=queue,
        state=TaskStatus(state) if state is not None else None,
        attempt=attempt,
        epoch=epoch,
        ready_at=ready_at,
        worker=worker,
        error=error,
        duration_ms=duration_ms,
        position=str(position),
    )
