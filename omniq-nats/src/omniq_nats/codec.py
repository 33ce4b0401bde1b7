"""What is written: values of msgpack. A task's head is a list, a row, whose columns are numbered here."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]

from omniq.errors import StoreFormatError
from omniq.models.event import Event, EventType
from omniq.models.record import NO_HEADERS, Grant, TaskBody, TaskRecord, Token
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ATTEMPTS",
    "BODY",
    "CANCEL_REQUESTED",
    "COMPLETED",
    "DAMAGE",
    "ENQUEUED_AT",
    "EPOCH",
    "ERROR",
    "ETA",
    "EXPIRES_AT",
    "FINISHED_AT",
    "ID",
    "INTERVAL_MS",
    "LEASE_UNTIL",
    "MAX_ATTEMPTS",
    "NOMINAL_AT",
    "NONCE",
    "PENDING",
    "PINNED",
    "PRIORITY",
    "QUEUE",
    "READY_AT",
    "RUNNING",
    "SEQ",
    "SERIES_ID",
    "STARTED_AT",
    "STATE",
    "STATES",
    "UNIQUE_KEY",
    "UNREADABLE",
    "VERSION",
    "WORKER",
    "Slot",
    "apart_values",
    "body_from",
    "body_of",
    "body_values",
    "event_from",
    "event_values",
    "func_of",
    "grant_of",
    "load_slot",
    "mark",
    "noted",
    "outcome_options",
    "pack",
    "place_of",
    "record_of",
    "result_from",
    "result_values",
    "row_of",
    "unpack",
]

(
    ID, SEQ, VERSION, STATE, QUEUE, PRIORITY, READY_AT, EPOCH, NONCE, ATTEMPTS, MAX_ATTEMPTS, LEASE_UNTIL, WORKER,
    CANCEL_REQUESTED, ENQUEUED_AT, STARTED_AT, FINISHED_AT, ERROR, ETA, UNIQUE_KEY, EXPIRES_AT, INTERVAL_MS, SERIES_ID,
    NOMINAL_AT, PINNED, BODY,
) = range(26)  # fmt: skip

STATES = (TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
PENDING, RUNNING, COMPLETED = 0, 1, 2
_APART = 4
_CODES = {state: code for code, state in enumerate(STATES)}
UNREADABLE = TaskBody(func="", codec="unreadable")

pack = msgpack.Packer(use_bin_type=True, unicode_errors="surrogatepass").pack
_FIELDS = (
    "id", "seq", "version", "state", "queue", "priority", "ready_at", "epoch", "nonce", "attempts", "max_attempts",
    "lease_until", "worker", "cancel_requested", "enqueued_at", "started_at", "finished_at", "error", "eta",
    "unique_key", "expires_at", "interval_ms", "series_id", "nominal_at", "pinned",
)  # fmt: skip
DAMAGE = (ValueError, TypeError, KeyError, AttributeError, IndexError)


def unpack(data: bytes) -> Any:
    """Read what `pack` wrote."""
    return msgpack.unpackb(data, unicode_errors="surrogatepass", strict_map_key=False)


_OWN = int.from_bytes(os.urandom(6)) << 16
_numbers = itertools.count()


def mark() -> int:
    """Return a number that marks one write of one process."""
    return (_OWN + next(_numbers)) & 0xFFFF_FFFF_FFFF_FFFF


os.register_at_fork(after_in_child=lambda: globals().update(_OWN=int.from_bytes(os.urandom(6)) << 16))


class Slot:
    """What is stored about one task id: one message, changed by compare-and-set on its sequence number.

    Attributes:
        id: The task's id.
        rev: The sequence number of the message; 0 if there is none.
        spare: The number of the message that it replaces, if nobody needs that one any more; else 0.
        row: The task's head; None if there is no task, as after a purge.
        stage: The number of an opening that is under way, or None: the task has a unique key, and becomes visible, or
            live again, once the key's record names this opening. Without a row, the seq of a task whose opening was
            given up.
        outbox: The entries that are not acknowledged: the number of the message that wrote each (0: this one), and the
            values of the event.
        result: The values of the latest outcome that was stored with the task, or None.
        following: The number of the next run of the series, which is to be made before anybody sees this end: the
            nominal time, and the time of the end.
        is_logged: Whether older messages of the subject are entries of the event log, and have to stay.
        entry: The event that this message is the log's entry of, or None.
    """

    __slots__ = ("entry", "following", "id", "is_logged", "outbox", "result", "rev", "row", "spare", "stage")

    def __init__(self, task_id: str, rev: int = 0, row: list[Any] | None = None) -> None:
        self.id = task_id
        self.rev = rev
        self.row = row
        self.spare = 0
        self.stage: int | None = None
        self.outbox: Sequence[Any] = ()
        self.result: Sequence[Any] | None = None
        self.following: Sequence[int] | None = None
        self.is_logged = False
        self.entry: Sequence[Any] | None = None

    def __lt__(self, other: Slot) -> bool:
        return self.rev < other.rev

    def copy(self) -> Slot:
        """Return one to change; the entry in the log stays with the old message."""
        made = Slot(self.id, self.rev, None if self.row is None else self.row[:])
        made.stage = self.stage if self.row is not None else None
        made.outbox = [[place or self.rev, values] for place, values in self.outbox] if self.outbox else ()
        made.result = self.result
        made.following = self.following
        made.is_logged = self.is_logged
        if self.entry is None:
            made.spare = self.rev
        return made

    def dump(self) -> bytes:
        """Return the message."""
        kept = self.result, self.stage, self.following, self.is_logged
        data: bytes = pack((self.id, self.row, self.entry, self.outbox, *kept, mark()))
        return data

    @property
    def head(self) -> list[Any]:
        """The row of a task that is there.

        Raises:
            StoreFormatError: There is none, though there should be.
        """
        if self.row is None:
            raise StoreFormatError(f"The message {self.rev} of the log has no task {self.id!r}.")
        return self.row

    @property
    def is_unfinished(self) -> bool:
        """Whether a step is under way that others have to complete."""
        return self.row is not None and (self.stage is not None or self.following is not None)

    @property
    def is_passing(self) -> bool:
        """Whether it only tells that the task is gone, and nobody needs it once everybody has seen that."""
        return self.row is None and not self.outbox and self.result is None and not self.is_logged

    @property
    def is_visible(self) -> bool:
        """Whether there is a task; one whose first opening is under way is none yet."""
        return self.row is not None and (self.stage is None or self.row[VERSION] > 0)


def load_slot(data: bytes, rev: int) -> Slot:
    """Read a message of a task's subject.

    Raises:
        StoreFormatError: It is damaged.
    """
    try:
        task_id, row, entry, outbox, result, stage, following, is_logged, _ = unpack(data)
        slot = Slot(task_id, rev, row)
        if row is not None:
            if len(row) != BODY + 1:
                raise StoreFormatError(f"The message {rev} of the log is damaged: it has {len(row)} columns.")
            if row[SEQ] is None:
                row[SEQ] = rev
        slot.entry, slot.outbox, slot.result = entry, outbox, result
        slot.stage, slot.following, slot.is_logged = stage, following, is_logged
    except DAMAGE as error:
        raise StoreFormatError(f"The message {rev} of the log is damaged: {error!r}.") from error
    return slot


def record_of(row: Sequence[Any], body: TaskBody | None = None) -> TaskRecord:
    """Return a task; of a body that is kept elsewhere, the caller gives it."""
    values = dict(zip(_FIELDS, row, strict=False))
    values["state"] = STATES[row[STATE]]
    if body is None:
        body = body_of(row)
    return TaskRecord(body=body, **values)


def body_of(row: Sequence[Any]) -> TaskBody:
    """Return the body inside a row; what cannot be decoded is shown as `UNREADABLE`."""
    try:
        return body_from(row[BODY])
    except DAMAGE:
        return UNREADABLE


def place_of(row: Sequence[Any]) -> str | None:
    """Return where the body is kept, if that is a message of its own."""
    values = row[BODY]
    return values[1] if isinstance(values, list | tuple) and len(values) == _APART else None


def apart_values(body: TaskBody, place: str) -> tuple[Any, ...]:
    """Return what a row has of a body that is kept elsewhere."""
    return body.func, place, body.codec, body.result_ttl_ms


def func_of(row: Sequence[Any]) -> str:
    """Return the function of a task."""
    try:
        return str(row[BODY][0])
    except DAMAGE:
        return ""


def outcome_options(row: Sequence[Any]) -> tuple[str, int | None]:
    """Return the codec of a task's body, and for how long its result is kept."""
    try:
        values = row[BODY]
        return (values[2], values[3]) if len(values) == _APART else (values[3], values[6])
    except DAMAGE:
        return UNREADABLE.codec, None


def row_of(record: TaskRecord, body: Any) -> list[Any]:
    """Return the row of a task.

    Args:
        record: The task.
        body: The values of the body, or where it is kept.
    """
    row = [getattr(record, name) for name in _FIELDS]
    row[STATE] = _CODES[record.state]
    row.append(body)
    return row


def body_values(body: TaskBody) -> tuple[Any, ...]:
    """Return a body as it is written."""
    headers = dict(body.headers) if body.headers else None
    return body.func, body.args, body.kwargs, body.codec, headers, body.timeout_ms, body.result_ttl_ms


def body_from(values: Any) -> TaskBody:
    """Read what `body_values` wrote."""
    func, args, kwargs, codec, headers, timeout_ms, result_ttl_ms = values
    return TaskBody(
        func=func,
        args=args,
        kwargs=kwargs,
        codec=codec,
        headers=NO_HEADERS if headers is None else headers,
        timeout_ms=timeout_ms,
        result_ttl_ms=result_ttl_ms,
    )


def grant_of(row: Sequence[Any], body: TaskBody) -> Grant:
    """Return the grant under which a RUNNING task is held."""
    return Grant(
        row[ID],
        Token(row[SEQ], row[EPOCH], row[NONCE]),
        row[ATTEMPTS],
        row[MAX_ATTEMPTS],
        row[QUEUE],
        row[PRIORITY],
        row[ENQUEUED_AT],
        row[READY_AT],
        row[LEASE_UNTIL] or 0,
        body,
        row[SERIES_ID],
        row[NOMINAL_AT],
    )


def noted(row: Sequence[Any], kind: str, at: int, worker: str | None, error: str | None, duration: int | None) -> Any:
    """Return the event of a transition that led to this row."""
    state = row[STATE]
    return (
        row[ID], row[SEQ], row[VERSION], kind, at, row[QUEUE], state, row[ATTEMPTS], row[EPOCH],
        row[READY_AT] if state == PENDING else None, worker, error, duration,
    )  # fmt: skip


def event_values(event: Event) -> tuple[Any, ...]:
    """Return an event as it is written."""
    return (
        event.task_id, event.seq, event.version, event.type.value, event.at, event.queue,
        None if event.state is None else _CODES[event.state], event.attempt, event.epoch, event.ready_at, event.worker,
        event.error, event.duration_ms,
    )  # fmt: skip


def event_from(values: Sequence[Any], rev: int, position: str | None = None) -> Event:
    """Read an event; one of a task's first message has the number of that message for seq."""
    task_id, seq, version, kind, at, queue, state, attempt, epoch, ready_at, worker, error, duration = values
    return Event(
        task_id=task_id,
        seq=rev if seq is None else seq,
        version=version,
        type=EventType(kind),
        at=at,
        queue=queue,
        state=None if state is None else STATES[state],
        attempt=attempt,
        epoch=epoch,
        ready_at=ready_at,
        worker=worker,
        error=error,
        duration_ms=duration,
        position=position,
    )


def result_values(record: ResultRecord, now: int) -> tuple[Any, ...]:
    """Return an outcome that is stored at `now`, as it is written."""
    expires_at = None if record.ttl_ms is None else now + record.ttl_ms
    return (
        record.id, record.seq, record.epoch, _CODES[record.status], record.value, record.codec, record.error,
        record.ttl_ms, now, expires_at,
    )  # fmt: skip


def result_from(values: Sequence[Any]) -> ResultRecord:
    """Read what `result_values` wrote."""
    task_id, seq, epoch, status, *rest = values
    return ResultRecord(task_id, seq, epoch, STATES[status], *rest)
