"""Records whose large part is a blob of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.event import Event, EventType
from omniq.models.record import TaskBody, TaskRecord
from omniq.models.result import ResultRecord
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "UNREADABLE",
    "Row",
    "StoredBody",
    "StoredResult",
    "copy_task",
    "event_of",
    "fields_of",
    "fields_of_task",
    "read_body",
    "read_changes",
    "read_result",
    "read_schedule",
    "read_task",
    "row_of",
]


@attrs.define(kw_only=True)
class StoredBody(TaskBody):
    """A body whose arguments and headers are in a blob.

    Attributes:
        blob: The name of the blob.
        size: How many bytes the payload has.
    """

    blob: str
    size: int = 0


@attrs.define(kw_only=True)
class StoredResult(ResultRecord):
    """An outcome whose value is in a blob.

    Attributes:
        blob: The name of the blob.
        size: How many bytes the payload has.
    """

    blob: str
    size: int = 0

    def whole(self, value: bytes | None) -> ResultRecord:
        """Return the outcome with its value."""
        return ResultRecord(**{name: getattr(self, name) for name, _ in _RESULT} | {"value": value})


Row = tuple[Any, ...]
"""An event as the log has it: a tuple of atoms, which the garbage collector does not look at."""

UNREADABLE = TaskBody(func="", codec="unreadable")
"""Stands for a body that cannot be read."""

_STATES = {state.value: state for state in TaskStatus}
_TYPES = {kind.value: kind for kind in EventType}


def _defaults(kind: type[Any], without: str = "") -> tuple[tuple[str, object], ...]:
    return tuple((field.name, field.default) for field in attrs.fields(kind) if field.name != without)


_NULLS = dict.fromkeys(("eta", "unique_key", "expires_at", "interval_ms", "series_id", "nominal_at"))
_TASK = tuple((name, {**_NULLS, "pinned": False}.get(name, default)) for name, default in _defaults(TaskRecord, "body"))
_BODY, _STORED_BODY = _defaults(TaskBody), _defaults(StoredBody)
_RESULT, _STORED_RESULT = _defaults(ResultRecord), _defaults(StoredResult)
_SCHEDULE = _defaults(Schedule, "body")
_ROW = (
    *("task_id", "seq", "version", "type", "at", "queue", "state", "attempt", "epoch"),
    *("ready_at", "worker", "error", "duration_ms"),
)
_FIELDS: Mapping[type, tuple[tuple[str, object], ...]] = {
    TaskRecord: _TASK,
    TaskBody: _BODY,
    StoredBody: _STORED_BODY,
    ResultRecord: _RESULT,
    StoredResult: _STORED_RESULT,
    Schedule: _SCHEDULE,
}


def fields_of(record: object) -> dict[str, Any]:
    """Return the fields of a record that are not what they would be anyway; a task's without its body."""
    kind = type(record)
    if kind is TaskBody:
        return _fields_of_body(record)  # type: ignore[arg-type]
    if kind is ResultRecord:
        return _fields_of_result(record)  # type: ignore[arg-type]
    found = {}
    for name, default in _FIELDS[kind]:
        value = getattr(record, name)
        if value is not default and value != default:
            found[name] = value
    return found


def _fields_of_body(body: TaskBody) -> dict[str, Any]:
    found: dict[str, Any] = {"func": body.func}
    if body.args != b"[]":
        found["args"] = body.args
    if body.kwargs != b"{}":
        found["kwargs"] = body.kwargs
    if body.codec != "json":
        found["codec"] = body.codec
    if body.headers:
        found["headers"] = dict(body.headers)
    if body.timeout_ms is not None:
        found["timeout_ms"] = body.timeout_ms
    if body.result_ttl_ms is not None:
        found["result_ttl_ms"] = body.result_ttl_ms
    return found


def _fields_of_result(record: ResultRecord) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": record.id,
        "seq": record.seq,
        "epoch": record.epoch,
        "status": record.status,
        "stored_at": record.stored_at,
    }
    if record.value is not None:
        found["value"] = record.value
    if record.codec != "json":
        found["codec"] = record.codec
    if record.error is not None:
        found["error"] = record.error
    if record.ttl_ms is not None:
        found |= {"ttl_ms": record.ttl_ms, "expires_at": record.expires_at}
    return found


def fields_of_task(task: TaskRecord) -> dict[str, Any]:
    """Return what `fields_of` returns, of a task that was just made, in a third of the time."""
    found: dict[str, Any] = {
        "id": task.id,
        "seq": task.seq,
        "queue": task.queue,
        "priority": task.priority,
        "max_attempts": task.max_attempts,
        "ready_at": task.ready_at,
        "enqueued_at": task.enqueued_at,
    }
    if task.eta is not None:
        found["eta"] = task.eta
    if task.unique_key is not None:
        found["unique_key"] = task.unique_key
    if task.expires_at is not None:
        found["expires_at"] = task.expires_at
    if task.pinned:
        found["pinned"] = True
    if task.interval_ms is not None or task.series_id is not None or task.nominal_at is not None:
        found |= {"interval_ms": task.interval_ms, "series_id": task.series_id, "nominal_at": task.nominal_at}
    return found


def read_task(fields: dict[str, Any], body: TaskBody) -> TaskRecord:
    """Make the task that `fields_of` took apart."""
    return TaskRecord(body=body, **{**_NULLS, "pinned": False, **read_changes(fields)})


def read_changes(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a task as they are in a record."""
    state = fields.get("state")
    if state is not None:
        fields["state"] = _STATES[state]
    return fields


def read_body(fields: Mapping[str, Any]) -> TaskBody:
    """Make the body that `fields_of` took apart."""
    return StoredBody(**fields) if "blob" in fields else TaskBody(**fields)


def read_result(fields: dict[str, Any]) -> ResultRecord:
    """Make the outcome that `fields_of` took apart."""
    fields["status"] = _STATES[fields["status"]]
    return StoredResult(**fields) if "blob" in fields else ResultRecord(**fields)


def read_schedule(fields: dict[str, Any], body: TaskBody) -> Schedule:
    """Make the schedule that `fields_of` took apart."""
    fields["kind"] = ScheduleKind(fields["kind"])
    if "misfire" in fields:
        fields["misfire"] = MisfirePolicy(fields["misfire"])
    return Schedule(**{**fields, "body": body})


def copy_task(task: TaskRecord) -> TaskRecord:
    """Return what the task is now; the view goes on changing its own.

    Field by field, which takes a quarter of the time of a loop; a test sees to it that none is missing.
    """
    copy = TaskRecord.__new__(TaskRecord)
    copy.id = task.id
    copy.body = task.body
    copy.seq = task.seq
    copy.queue = task.queue
    copy.priority = task.priority
    copy.eta = task.eta
    copy.max_attempts = task.max_attempts
    copy.unique_key = task.unique_key
    copy.expires_at = task.expires_at
    copy.interval_ms = task.interval_ms
    copy.series_id = task.series_id
    copy.nominal_at = task.nominal_at
    copy.pinned = task.pinned
    copy.ready_at = task.ready_at
    copy.enqueued_at = task.enqueued_at
    copy.state = task.state
    copy.attempts = task.attempts
    copy.epoch = task.epoch
    copy.nonce = task.nonce
    copy.version = task.version
    copy.lease_until = task.lease_until
    copy.worker = task.worker
    copy.cancel_requested = task.cancel_requested
    copy.started_at = task.started_at
    copy.finished_at = task.finished_at
    copy.error = task.error
    return copy


def row_of(event: Event) -> Row:
    """Return an event as the log has it."""
    return tuple(getattr(event, name) for name in _ROW)


def event_of(row: Row, position: int | None = None) -> Event:
    """Return the event of a row."""
    return Event(
        task_id=row[0],
        seq=row[1],
        version=row[2],
        type=_TYPES[row[3]],
        at=row[4],
        queue=row[5],
        state=None if row[6] is None else _STATES[row[6]],
        attempt=row[7],
        epoch=row[8],
        ready_at=row[9],
        worker=row[10],
        error=row[11],
        duration_ms=row[12],
        position=None if position is None else str(position),
    )
