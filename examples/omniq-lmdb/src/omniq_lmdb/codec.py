"""What is written: keys that sort as what they mean, and values of a line of JSON with the large parts after it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.event import Event, EventType
from omniq.models.record import TaskBody, TaskRecord
from omniq.models.result import ResultRecord
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "digest",
    "dump_body",
    "dump_event",
    "dump_head",
    "dump_result",
    "dump_schedule",
    "load_body",
    "load_event",
    "load_head",
    "load_result",
    "load_schedule",
    "name_key",
    "number",
    "number_of",
]

_OFFSET = 1 << 63
_ENUMS = {
    "kind": ScheduleKind,
    "misfire": MisfirePolicy,
    "state": TaskStatus,
    "status": TaskStatus,
    "type": EventType,
}


def number(value: int) -> bytes:
    """Return 8 bytes that sort as the numbers do."""
    return (value + _OFFSET).to_bytes(8, "big")


def number_of(key: bytes) -> int:
    """Return the number that `number` wrote."""
    return int.from_bytes(key, "big") - _OFFSET


def name_key(name: str) -> bytes:
    """Return a key that sorts as the names do, by code points; a name that nobody can have must not raise here."""
    return name.encode("utf-8", "surrogatepass")


def digest(*names: str) -> bytes:
    """Return a key of fixed length for names that are looked up but not sorted: LMDB's keys are short."""
    return hashlib.blake2b(b"\0".join(map(name_key, names)), digest_size=32).digest()


def dump_head(record: TaskRecord) -> bytes:
    """Write what changes of a task."""
    return _line(_picked(record, _HEAD))


def load_head(data: bytes, body: TaskBody) -> TaskRecord:
    """Read a task."""
    return TaskRecord(body=body, **_values(data))


def dump_body(body: TaskBody) -> bytes:
    """Write what does not change of a task."""
    values = _picked(body, ("func", "codec", "timeout_ms", "result_ttl_ms"))
    return _line({**values, "headers": dict(body.headers), "args": len(body.args)}) + body.args + body.kwargs


def load_body(data: bytes) -> TaskBody:
    """Read what `dump_body` wrote."""
    line, _, rest = data.partition(b"\n")
    values = json.loads(line)
    size = values.pop("args")
    return TaskBody(args=rest[:size], kwargs=rest[size:], **values)


def dump_event(event: Event) -> bytes:
    """Write an event without its position."""
    return _line(_picked(event, _EVENT))


def load_event(data: bytes, position: bytes | None = None) -> Event:
    """Read an event, with the key under which it is in the log."""
    return Event(position=None if position is None else str(number_of(position)), **_values(data))


def dump_result(record: ResultRecord) -> bytes:
    """Write an outcome."""
    values = _picked(record, _RESULT)
    return _line({**values, "has_value": record.value is not None}) + (record.value or b"")


def load_result(data: bytes) -> ResultRecord:
    """Read an outcome."""
    line, _, rest = data.partition(b"\n")
    values = _values(line)
    return ResultRecord(value=rest if values.pop("has_value") else None, **values)


def dump_schedule(schedule: Schedule) -> bytes:
    """Write a schedule."""
    return _line(_picked(schedule, _SCHEDULE)) + dump_body(schedule.body)


def load_schedule(data: bytes) -> Schedule:
    """Read a schedule."""
    line, _, rest = data.partition(b"\n")
    return Schedule(body=load_body(rest), **_values(line))


def _names(kind: type[attrs.AttrsInstance], without: str) -> list[str]:
    return [field.name for field in attrs.fields(kind) if field.name != without]


_HEAD = _names(TaskRecord, "body")
_EVENT = _names(Event, "position")
_RESULT = _names(ResultRecord, "value")
_SCHEDULE = _names(Schedule, "body")
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def _picked(instance: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in names}


def _line(values: Mapping[str, Any]) -> bytes:
    return _to_json(values).encode() + b"\n"


def _values(line: bytes) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(line)
    for name in _ENUMS.keys() & values.keys():
        if values[name] is not None:
            values[name] = _ENUMS[name](values[name])
    return values
