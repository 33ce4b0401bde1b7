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
    "StoredBody",
    "StoredResult",
    "copy_task",
    "event_of",
    "fields_of",
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


UNREADABLE = TaskBody(func="", codec="unreadable")
"""Stands for a body that cannot be read."""

_STATES = {state.value: state for state in TaskStatus}
_TYPES = {kind.value: kind for kind in EventType}


def _defaults(kind: type[Any], without: str = "") -> tuple[tuple[str, object], ...]:
    return tuple((field.name, field.default) for field in attrs.fields(kind) if field.name != without)


_NULLS = dict.fromkeys(("eta", "unique_key", "expires_at", "interval_ms", "series_id", "nominal_at"))
_TASK = tuple(
    (name, {**_NULLS, "pinned": False}.get(name, default)) for name, default in _defaults(TaskRecord, "body")
)
_TASK_NAMES = tuple(field.name for field in attrs.fields(TaskRecord))
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
    found = {}
    for name, default in _FIELDS[type(record)]:
        value = getattr(record, name)
        if value is not default and value != default:
            found[name] = value
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
    """Return what the task is now; the view goes on changing its own."""
    copy = TaskRecord.__new__(TaskRecord)
    for name in _TASK_NAMES:
        setattr(copy, name, getattr(task, name))
    return copy


def row_of(event: Event) -> list[Any]:
    """Return an event as the log has it."""
    return [getattr(event, name) for name in _ROW]


def event_of(row: list[Any], position: int | None = None) -> Event:
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
