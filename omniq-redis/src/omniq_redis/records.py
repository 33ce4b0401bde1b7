"""Records to what the scripts take and store, and back. Absent values are False there: Lua has no None in lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]

from omniq.errors import StoreFormatError
from omniq.models.event import Event, EventType
from omniq.models.record import NO_HEADERS, Grant, TaskBody, TaskRecord, Token
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus, TaskView
from omniq.storage.transitions import reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omniq.models.event import EventFilter
    from omniq.models.record import TaskFilter, TaskSpec

__all__ = [
    "STATES",
    "body_from",
    "event_filter",
    "event_from",
    "event_values",
    "grant_from",
    "pack",
    "pack_body",
    "record_from",
    "result_from",
    "result_values",
    "spec_groups",
    "spec_values",
    "task_filter",
    "unpack",
]

STATES = (TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
_STATE_CODES: dict[TaskStatus | TaskView, int] = {
    **{state: code for code, state in enumerate(STATES)},
    TaskView.SCHEDULED: 10,
    TaskView.READY: 11,
    TaskView.EXPIRED: 12,
    TaskView.STALE: 13,
}
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
_EVENT_CODES = {kind: code for code, kind in enumerate(_EVENT_TYPES)}

_ALIKE = 500
_BYTES = 4_000_000
_OVERHEAD = 8_000  # a task counts as so many bytes more, which bounds the work of a script to 500 of them

_packer = msgpack.Packer(use_bin_type=False)
pack = _packer.pack


def unpack(data: bytes) -> Any:
    """Return what was packed; texts come as bytes."""
    return msgpack.unpackb(data, raw=True, strict_map_key=False)


def _or_false(value: Any) -> Any:
    return False if value is None else value


def _or_none(value: Any) -> Any:
    return None if value is False else value


def _text(value: Any) -> str | None:
    return None if value is False else value.decode()


# Tasks


def pack_body(body: TaskBody) -> bytes:
    """Return a body as it is stored."""
    headers = dict(body.headers) if body.headers else False
    data: bytes = pack((body.func, body.args, body.kwargs, body.codec, headers, body.timeout_ms, body.result_ttl_ms))
    return data


def body_from(data: Any) -> TaskBody:
    """Make a body from what is stored.

    Raises:
        StoreFormatError: It is missing or damaged.
    """
    try:
        func, args, kwargs, codec, headers, timeout_ms, result_ttl_ms = unpack(data)
        return TaskBody(
            func=func.decode(),
            args=args,
            kwargs=kwargs,
            codec=codec.decode(),
            headers={name.decode(): value.decode() for name, value in headers.items()} if headers else NO_HEADERS,
            timeout_ms=timeout_ms,
            result_ttl_ms=result_ttl_ms,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise StoreFormatError(f"The body of the task is damaged: {error} in {data!r:.500}") from error


def spec_groups(specs: Sequence[TaskSpec]) -> Iterator[tuple[Any, int]]:
    """Yield what the script `enqueue` takes, with its size in bytes.

    Tasks that follow each other and differ in nothing but id and body are a group; others come as `spec_values`.
    """
    group: tuple[Any, ...] | None = None
    alike: tuple[Any, ...] | None = None
    ids: list[str] = []
    bodies: list[bytes] = []
    size = 0
    for spec in specs:
        body = spec.body
        if not (
            spec.eta is None
            and spec.unique_key is None
            and spec.expires_at is None
            and spec.interval_ms is None
            and spec.series_id is None
        ):
            if group:
                yield group, size
                group = alike = None
            values = spec_values(spec)
            yield values, len(values[-1]) + _OVERHEAD
            continue
        key = (spec.queue, spec.priority, spec.max_attempts, spec.pinned, body.func, body.result_ttl_ms)
        if group is None or key != alike or len(ids) >= _ALIKE or size > _BYTES:
            if group:
                yield group, size
            ids, bodies, size, alike = [], [], 0, key
            group = (spec.queue, spec.priority, _rest_of_head(spec), ids, bodies)
        packed = pack_body(body)
        ids.append(spec.id)
        bodies.append(packed)
        size += len(packed) + _OVERHEAD
    if group:
        yield group, size


def _rest_of_head(spec: TaskSpec) -> bytes:
    """Return the fields of a head from the queue on, packed, of a task that has nothing unusual."""
    values = (spec.queue, spec.priority, spec.max_attempts, False, False, False, False, False, False, int(spec.pinned))
    return b"".join(map(pack, (*values, spec.body.func, _or_false(spec.body.result_ttl_ms))))


def spec_values(spec: TaskSpec) -> tuple[Any, ...]:
    """Return a specification as the scripts take it."""
    return (
        spec.id,
        spec.queue,
        spec.priority,
        _or_false(spec.eta),
        spec.max_attempts,
        _or_false(spec.unique_key),
        _or_false(spec.expires_at),
        _or_false(spec.interval_ms),
        _or_false(spec.series_id),
        _or_false(spec.nominal_at),
        int(spec.pinned),
        spec.body.func,
        _or_false(spec.body.result_ttl_ms),
        pack_body(spec.body),
    )


def grant_from(values: Sequence[Any], nonce: str) -> Grant:
    """Make a grant.

    Raises:
        StoreFormatError: The body is damaged.
    """
    (
        task_id, seq, epoch, attempt, max_attempts, queue, priority, enqueued_at, ready_at, lease_until, series_id,
        nominal_at, body,
    ) = values  # fmt: skip
    return Grant(
        task_id.decode(),
        Token(seq, epoch, nonce),
        attempt,
        max_attempts,
        queue.decode(),
        priority,
        enqueued_at,
        ready_at,
        lease_until,
        body_from(body),
        None if series_id is False else series_id.decode(),
        None if nominal_at is False else nominal_at,
    )


def record_from(values: Sequence[Any]) -> TaskRecord:
    """Make a record; a damaged body is shown as it is rather than raised."""
    seq, lease_until, packed, data = values
    (
        task_id, state, version, epoch, attempts, nonce, ready_at, worker, cancel_requested, started_at, finished_at,
        error, _, enqueued_at, queue, priority, max_attempts, eta, unique_key, expires_at, interval_ms, series_id,
        nominal_at, pinned, func, _,
    ) = unpack(packed)  # fmt: skip
    try:
        body = body_from(data)
    except StoreFormatError:
        body = TaskBody(func=func.decode(), args=data or b"", kwargs=b"", codec="damaged")
    return TaskRecord(
        id=task_id.decode(),
        body=body,
        seq=seq,
        queue=queue.decode(),
        priority=priority,
        eta=_or_none(eta),
        max_attempts=max_attempts,
        unique_key=_text(unique_key),
        expires_at=_or_none(expires_at),
        interval_ms=_or_none(interval_ms),
        series_id=_text(series_id),
        nominal_at=_or_none(nominal_at),
        pinned=bool(pinned),
        ready_at=ready_at,
        enqueued_at=enqueued_at,
        state=STATES[state],
        attempts=attempts,
        epoch=epoch,
        nonce=nonce.decode(),
        version=version,
        lease_until=_or_none(lease_until),
        worker=_text(worker),
        cancel_requested=bool(cancel_requested),
        started_at=_or_none(started_at),
        finished_at=_or_none(finished_at),
        error=_text(error),
    )


def task_filter(wanted: TaskFilter | None) -> list[Any]:
    """Return a filter as the scripts take it: sets have their members as keys."""
    if wanted is None:
        return [False] * 8
    states = None if wanted.states is None else [_STATE_CODES[state] for state in wanted.states]
    return [
        _as_keys(states),
        _as_keys(wanted.queues),
        _as_keys(wanted.funcs),
        _or_false(wanted.unique_key),
        _or_false(wanted.series_id),
        _as_keys(wanted.ids),
        _or_false(wanted.enqueued_from),
        _or_false(wanted.enqueued_before),
    ]


def _as_keys(values: Iterable[Any] | None) -> Any:
    return False if values is None else dict.fromkeys(values, 1)


# Results


def result_values(record: ResultRecord) -> tuple[bytes, bytes, Any]:
    """Return what the scripts take of a result: its run and its outcome, packed as they are stored, and its ttl."""
    ttl_ms = _or_false(record.ttl_ms)
    outcome = (record.codec, _or_false(record.value), _or_false(record.error), False, ttl_ms)
    # Without their first byte, which says how many they are: they become parts of a longer list.
    return pack((record.seq, record.epoch))[1:], pack(outcome)[1:], ttl_ms


def result_from(task_id: str, values: Sequence[Any]) -> ResultRecord:
    """Make a result; one that no worker reported tells why the task ended."""
    seq, epoch, stored_at, expires_at, status, codec, value, error, is_told, ttl_ms = values
    state = STATES[status]
    text = reason(state, _text(error)).to_json() if is_told else _text(error)
    return ResultRecord(
        task_id,
        seq,
        epoch,
        state,
        _or_none(value),
        codec.decode(),
        text,
        _or_none(ttl_ms),
        stored_at,
        _or_none(expires_at),
    )


# Events


def event_values(event: Event) -> tuple[Any, ...]:
    """Return what the script `append` takes of an event."""
    packed = pack(
        (
            event.task_id,
            event.seq,
            event.version,
            _EVENT_CODES[event.type],
            event.at,
            event.queue,
            False if event.state is None else _STATE_CODES[event.state],
            event.attempt,
            event.epoch,
            _or_false(event.ready_at),
            _or_false(event.worker),
            _or_false(event.error),
            _or_false(event.duration_ms),
        )
    )
    return event.task_id, f"{event.seq}:{event.version}", event.at, packed


def event_from(packed: bytes, position: bytes | None = None) -> Event:
    """Make an event from what is stored."""
    task_id, seq, version, kind, at, queue, state, attempt, epoch, ready_at, worker, error, duration_ms = unpack(packed)
    return Event(
        task_id=task_id.decode(),
        seq=seq,
        version=version,
        type=_EVENT_TYPES[kind],
        at=at,
        queue=queue.decode(),
        state=None if state is False else STATES[state],
        attempt=attempt,
        epoch=epoch,
        ready_at=_or_none(ready_at),
        worker=_text(worker),
        error=_text(error),
        duration_ms=_or_none(duration_ms),
        position=None if position is None else position.decode(),
    )


def event_filter(wanted: EventFilter | None) -> list[Any]:
    """Return a filter as the scripts take it."""
    if wanted is None:
        return [False] * 5
    types = None if wanted.types is None else [_EVENT_CODES[kind] for kind in wanted.types]
    return [
        _or_false(wanted.task_id),
        _as_keys(types),
        _as_keys(wanted.queues),
        _or_false(wanted.at_from),
        _or_false(wanted.at_before),
    ]
