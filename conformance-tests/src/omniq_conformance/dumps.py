"""Everything that a namespace has, as JSON values, and what tells two of them apart."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.event import Event
from omniq.models.record import QueueStats, TaskBody, TaskRecord
from omniq.models.result import ResultRecord
from omniq.models.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from omniq_conformance.harness import OpenedStores

__all__ = ["differences", "dump"]

_PAGE = 100
_KINDS: Mapping[str, type[Any]] = {
    "tasks": TaskRecord,
    "queues": QueueStats,
    "outbox": Event,
    "results": ResultRecord,
    "events": Event,
    "schedules": Schedule,
}
_NESTED = {"body": TaskBody}


async def dump(opened: OpenedStores, now: int) -> dict[str, dict[str, Any]]:
    """Read every record of every role.

    Args:
        opened: The handle.
        now: The time at which states are judged and results are listed.

    Returns:
        For each kind of record a mapping by identity, in the order in which the store gives them.
    """
    found: dict[str, Sequence[Any]] = {}
    if (queue := opened.task_queue) is not None:
        found["tasks"] = await _all(lambda last: queue.list(after=last and last.seq, limit=_PAGE, now=now))
        found["queues"] = await queue.queues(now=now)
        found["outbox"] = await queue.outbox(10**6, now=now)
    if (results := opened.results) is not None:
        found["results"] = await _all(lambda last: results.list(after=last and last.id, limit=_PAGE, now=now))
    if (events := opened.events) is not None:
        found["events"] = await _all(lambda last: events.read(after=last and last.position, limit=_PAGE))
    if (schedules := opened.schedules) is not None:
        found["schedules"] = await _all(lambda last: schedules.list(after=last and last.id, limit=_PAGE))
    return {kind: {_identity(record): _plain(record) for record in records} for kind, records in found.items()}


async def _all(page_after: Callable[[Any], Any]) -> list[Any]:
    found: list[Any] = []
    while page := await page_after(found[-1] if found else None):
        found += page
    return found


def _identity(record: Any) -> str:
    if isinstance(record, Event):
        return record.event_id
    return str(record.name if isinstance(record, QueueStats) else record.id)


def _plain(record: Any) -> dict[str, Any]:
    """Return a record's fields as JSON values; an event's position is the store's own affair."""
    plain: dict[str, Any] = json.loads(json.dumps(attrs.asdict(record, value_serializer=_value)))
    if isinstance(record, Event):
        del plain["position"]
    return plain


def _value(_record: object, _field: object, value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def differences(expected: Mapping[str, Mapping[str, Any]], actual: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is not as expected, one sentence each.

    A field that `expected` does not have, because it is from before the field was added, has to have its default.
    """
    for kind, records in expected.items():
        there = actual.get(kind, {})
        yield from (f"{kind}: {id!r} is lost" for id in records if id not in there)
        yield from (f"{kind}: {id!r} was not there before" for id in there if id not in records)
        for id, record in records.items():
            if id in there:
                yield from _of_record(f"{kind}: {id!r}", _completed(_KINDS[kind], record), there[id])
        if sorted(records) == sorted(there) and list(records) != list(there):
            yield f"{kind}: they are in another order, {list(there)} instead of {list(records)}"


def _of_record(name: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    for field, value in expected.items():
        if field not in actual:
            yield f"{name} has no {field} any more; it was {value!r}"
        elif actual[field] != value:
            yield f"{name} has {field}={actual[field]!r} instead of {value!r}"


def _completed(kind: type[Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Add the defaults of the fields that a record of an older version does not have."""
    completed = {name: _completed(_NESTED[name], value) if name in _NESTED else value for name, value in record.items()}
    for field in attrs.fields(kind):
        if field.name not in completed and field.name != "position" and field.default is not attrs.NOTHING:
            completed[field.name] = json.loads(json.dumps(field.default))
    return completed
