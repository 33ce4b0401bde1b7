"""The pure state machine of a task.

Every function takes a record and the time and returns the `Step` that the operation makes, without changing the
record: what changes, and the event to write. Guards on tokens and on which tasks are meant are the caller's, through
`is_current` and `settled_reply`. Backends that keep records as data apply the step to the record; engines with
a language of their own (SQL, Lua) repeat these rules there, and the conformance suite compares.

The rules are those of docs/reference/contract.md, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from omniq.models.error import ErrorInfo
from omniq.models.event import Event, EventType
from omniq.models.record import TaskRecord, TaskSpec
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from omniq.models.record import Token

__all__ = [
    "EXPIRED",
    "LEASE_EXPIRED",
    "REDRIVABLE",
    "Step",
    "apply",
    "cancel",
    "complete",
    "create",
    "expire",
    "fail",
    "is_current",
    "is_expired",
    "reason",
    "recover",
    "redrive",
    "release",
    "settled_reply",
    "start",
    "successor",
]

EXPIRED = "expired"
LEASE_EXPIRED = "lease expired"
REDRIVABLE = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})

_REASONS = {
    EXPIRED: "The task still waited when its expires_at came.",
    LEASE_EXPIRED: "The worker of its last attempt was lost.",
}
_PENDING, _RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING
_COMPLETED, _FAILED, _CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


class Step(NamedTuple):
    """One transition: the event's type and the new values of the record's fields (`version` is not among them)."""

    type: EventType
    changes: dict[str, Any]


def is_current(record: TaskRecord | None, token: Token) -> bool:
    """Tell whether a worker's operation with this token may change the record."""
    return (
        record is not None
        and record.state is _RUNNING
        and record.epoch == token.epoch
        and record.nonce == token.nonce
        and record.seq == token.seq
    )


def settled_reply(record: TaskRecord | None, token: Token) -> Literal["already", "lost"]:
    """Answer a settling whose token is not current: was it this token that ended the run before?"""
    if record is not None and record.state is not _RUNNING and record.token == token:
        return "already"
    return "lost"


def is_expired(record: TaskRecord, now: int) -> bool:
    """Tell whether the task still waits although it should have started before `now`."""
    return record.state is _PENDING and record.expires_at is not None and record.expires_at <= now


def create(spec: TaskSpec, seq: int, now: int) -> TaskRecord:
    """Return the record of a task that is enqueued at `now`."""
    ready_at = now if spec.eta is None or spec.eta < now else spec.eta
    series = spec.interval_ms is not None
    return TaskRecord(
        id=spec.id,
        body=spec.body,
        seq=seq,
        queue=spec.queue,
        priority=spec.priority,
        eta=spec.eta,
        max_attempts=spec.max_attempts,
        unique_key=spec.unique_key,
        expires_at=spec.expires_at,
        interval_ms=spec.interval_ms,
        series_id=spec.id if series and spec.series_id is None else spec.series_id,
        nominal_at=ready_at if series and spec.nominal_at is None else spec.nominal_at,
        pinned=spec.pinned,
        ready_at=ready_at,
        enqueued_at=now,
    )


def start(record: TaskRecord, now: int, *, worker: str, lease_ms: int, nonce: str) -> Step:
    """Claim a ready task."""
    return Step(
        EventType.STARTED,
        {
            "state": _RUNNING,
            "epoch": record.epoch + 1,
            "attempts": record.attempts + 1,
            "nonce": nonce,
            "lease_until": now + lease_ms,
            "worker": worker,
            "started_at": now,
        },
    )


def complete(record: TaskRecord, now: int) -> Step:
    """End a run that succeeded."""
    return _end(record, _COMPLETED, EventType.COMPLETED, now, by_token=True)


def fail(record: TaskRecord, now: int, *, error: str, retry_at: int | None) -> Step:
    """End a run that failed: cancelled if that was requested, retried if wanted and possible, else failed."""
    if record.cancel_requested:
        return _end(record, _CANCELLED, EventType.CANCELLED, now, by_token=True, error=error)
    if retry_at is not None and record.attempts < record.max_attempts:
        return _back(max(retry_at, now), EventType.RETRYING, error=error)
    return _end(record, _FAILED, EventType.FAILED, now, by_token=True, error=error)


def release(record: TaskRecord, now: int, *, ready_at: int) -> Step:
    """Give a run back without using up its attempt."""
    if record.cancel_requested:
        return _end(record, _CANCELLED, EventType.CANCELLED, now, by_token=True)
    return _back(max(ready_at, now), EventType.RELEASED, attempts=record.attempts - 1)


def recover(record: TaskRecord, now: int) -> Step:
    """Take a stale run away from its worker."""
    if record.cancel_requested:
        return _end(record, _CANCELLED, EventType.CANCELLED, now, by_token=False)
    if record.attempts >= record.max_attempts:
        return _end(record, _FAILED, EventType.FAILED, now, by_token=False, error=LEASE_EXPIRED)
    return _back(now, EventType.LEASE_EXPIRED)


def expire(record: TaskRecord, now: int) -> Step:
    """End a task that waited past its `expires_at`."""
    return _end(record, _FAILED, EventType.EXPIRED, now, by_token=False, error=EXPIRED)


def cancel(record: TaskRecord, now: int) -> Step | None:
    """Cancel a live task; None if its cancel is requested already."""
    if record.state is _PENDING:
        return _end(record, _CANCELLED, EventType.CANCELLED, now, by_token=False)
    if record.cancel_requested:
        return None
    return Step(EventType.CANCEL_REQUESTED, {"cancel_requested": True})


def redrive(record: TaskRecord, now: int) -> Step:
    """Give a failed or cancelled task all its attempts again."""
    return Step(
        EventType.REDRIVEN,
        {
            "state": _PENDING,
            "ready_at": now,
            "attempts": 0,
            "epoch": record.epoch + 1,
            "finished_at": None,
            "error": None,
            "expires_at": None,
            "series_id": None,
            "nominal_at": None,
        },
    )


def successor(record: TaskRecord, step: Step, now: int) -> TaskSpec | None:
    """Return the next run of the record's series if the step (not applied yet) ends this one, else None."""
    if record.series_id is None or record.interval_ms is None or record.nominal_at is None:
        return None
    if record.cancel_requested or step.changes.get("state") not in (_COMPLETED, _FAILED):
        return None
    steps = max(1, (now - record.nominal_at) // record.interval_ms + 1)
    nominal_at = record.nominal_at + steps * record.interval_ms
    return TaskSpec(
        id=f"{record.series_id}@{nominal_at}",
        body=record.body,
        queue=record.queue,
        priority=record.priority,
        eta=nominal_at,
        max_attempts=record.max_attempts,
        unique_key=record.unique_key,
        interval_ms=record.interval_ms,
        series_id=record.series_id,
        nominal_at=nominal_at,
        pinned=record.pinned,
    )


def reason(state: TaskStatus, error: str | None) -> ErrorInfo:
    """Say why a task ended of which no worker reported a result: it was cancelled, recovered or expired.

    Args:
        state: FAILED or CANCELLED.
        error: The record's short text.
    """
    if state is _CANCELLED:
        return ErrorInfo(type="cancelled", message="The task was cancelled.")
    if error in _REASONS:
        return ErrorInfo(type=error, message=_REASONS[error])
    kind, colon, message = (error or "").partition(": ")
    return ErrorInfo(type=kind, message=message) if colon else ErrorInfo(type="failed", message=kind)


def apply(record: TaskRecord, step: Step, now: int) -> Event:
    """Change the record in place by the step and return the event of the transition."""
    worker, started_at, was_running = record.worker, record.started_at, record.state is _RUNNING
    for name, value in step.changes.items():
        setattr(record, name, value)
    record.version += 1
    ended = was_running and record.state is not _RUNNING
    return Event(
        task_id=record.id,
        seq=record.seq,
        version=record.version,
        type=step.type,
        at=now,
        queue=record.queue,
        state=record.state,
        attempt=record.attempts,
        epoch=record.epoch,
        ready_at=record.ready_at if record.state is _PENDING else None,
        worker=record.worker or worker,
        error=step.changes.get("error"),
        duration_ms=now - started_at if ended and started_at is not None else None,
    )


def _end(
    record: TaskRecord,
    state: TaskStatus,
    event: EventType,
    now: int,
    *,
    by_token: bool,
    error: str | None = None,
) -> Step:
    changes: dict[str, Any] = {
        "state": state,
        "lease_until": None,
        "worker": None,
        "cancel_requested": False,
        "finished_at": now,
    }
    if not by_token:
        changes["epoch"] = record.epoch + 1
    if error is not None:
        changes["error"] = error
    return Step(event, changes)


def _back(ready_at: int, event: EventType, **changes: object) -> Step:
    return Step(event, {"state": _PENDING, "ready_at": ready_at, "lease_until": None, "worker": None, **changes})
