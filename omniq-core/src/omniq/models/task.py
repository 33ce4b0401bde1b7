"""A task as applications see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from omniq.clock import from_millis, to_millis
from omniq.models.status import TaskStatus, TaskView

if TYPE_CHECKING:
    from omniq.models.record import TaskRecord
    from omniq.models.result import ResultRecord

__all__ = ["ETA_HEADER", "INTERNAL_PREFIX", "Decode", "Task", "Undecodable"]

ETA_HEADER = "omniq-eta"
"""Header with the eta as it was given, where whole milliseconds in UTC do not say all of it."""

INTERNAL_PREFIX = "omniq-"
"""Headers that begin so are OmniQ's own; applications neither give nor see them."""

Decode: TypeAlias = Callable[[str, bytes], Any]
"""Decodes bytes by the name of their codec."""

_FIELDS = (
    "id",
    "func_path",
    "args",
    "kwargs",
    "status",
    "attempts",
    "max_retries",
    "timeout",
    "eta",
    "interval",
    "enqueued_at",
    "started_at",
    "completed_at",
    "failed_at",
    "result",
    "error",
    "worker_id",
    "queue",
    "priority",
    "unique_key",
    "headers",
    "expires_at",
    "result_ttl",
    "ready_at",
    "cancelled_at",
    "cancel_requested",
    "series_id",
    "seq",
)
_NAMES = frozenset(_FIELDS)


@attrs.frozen
class Undecodable:
    """Stands where arguments or a result cannot be decoded here.

    Attributes:
        codec: The name of the serializer that wrote it.
        data: The stored bytes.
        reason: Why they cannot be decoded.
    """

    codec: str
    data: bytes
    reason: str


class Task(Mapping[str, Any]):
    """One task at the moment it was read.

    Every field reads as an attribute and as an item: `task.func_path`, `task["func_path"]`, `task.get("eta")`,
    `dict(task)`. Times are aware datetimes. Arguments and results are decoded when they are first looked at; what
    cannot be decoded here shows as `Undecodable`.
    """

    __slots__ = ("_args", "_decode", "_kwargs", "_now", "_record", "_result", "_value")

    def __init__(self, record: TaskRecord, *, now: int, decode: Decode, result: ResultRecord | None = None) -> None:
        self._record = record
        self._now = now
        self._decode = decode
        self._result = result

    @property
    def id(self) -> str:
        """The id of the task."""
        return self._record.id

    @property
    def func_path(self) -> str:
        """The import path or registered name of the function."""
        return self._record.body.func

    @property
    def args(self) -> list[Any]:
        """The positional arguments."""
        try:
            return self._args
        except AttributeError:
            body = self._record.body
            value = self._decoded(body.codec, body.args)
            self._args: list[Any] = value if isinstance(value, list) else [value]
            return self._args

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments."""
        try:
            return self._kwargs
        except AttributeError:
            body = self._record.body
            value = self._decoded(body.codec, body.kwargs)
            self._kwargs: dict[str, Any] = value if isinstance(value, dict) else {"?": value}
            return self._kwargs

    @property
    def status(self) -> TaskStatus:
        """The stored state."""
        return self._record.state

    @property
    def view(self) -> TaskStatus | TaskView:
        """What the state meant when the task was read: SCHEDULED, READY or EXPIRED for PENDING, STALE for RUNNING."""
        return self._record.view(self._now)

    @property
    def is_expired(self) -> bool:
        """Whether it waited past its `expires_at`, so that it never starts."""
        return self.view is TaskView.EXPIRED

    @property
    def attempts(self) -> int:
        """How many attempts were used."""
        return self._record.attempts

    @property
    def max_retries(self) -> int:
        """How often it may be tried again after its first attempt."""
        return self._record.max_attempts - 1

    @property
    def timeout(self) -> float | None:
        """How many seconds one attempt may run; None is without limit."""
        return _seconds(self._record.body.timeout_ms)

    @property
    def result_ttl(self) -> float | None:
        """How many seconds the result is kept after the end; None keeps it."""
        return _seconds(self._record.body.result_ttl_ms)

    @property
    def eta(self) -> datetime | None:
        """When it was to start, as it was given."""
        eta = self._record.eta
        if eta is None:
            return None
        return _as_given(self._record.body.headers.get(ETA_HEADER), eta) or from_millis(eta)

    @property
    def interval(self) -> timedelta | None:
        """After which time it is repeated."""
        interval = self._record.interval_ms
        return None if interval is None else timedelta(milliseconds=interval)

    @property
    def enqueued_at(self) -> datetime:
        """When it was enqueued."""
        return from_millis(self._record.enqueued_at)

    @property
    def ready_at(self) -> datetime:
        """When it could or can start."""
        return from_millis(self._record.ready_at)

    @property
    def started_at(self) -> datetime | None:
        """When its latest attempt started."""
        return _time(self._record.started_at)

    @property
    def finished_at(self) -> datetime | None:
        """When it ended, in whichever state."""
        return _time(self._record.finished_at)

    @property
    def completed_at(self) -> datetime | None:
        """When it ended as COMPLETED."""
        return self._ended(TaskStatus.COMPLETED)

    @property
    def failed_at(self) -> datetime | None:
        """When it ended as FAILED."""
        return self._ended(TaskStatus.FAILED)

    @property
    def cancelled_at(self) -> datetime | None:
        """When it ended as CANCELLED."""
        return self._ended(TaskStatus.CANCELLED)

    @property
    def expires_at(self) -> datetime | None:
        """When it ends as FAILED if it still waits then."""
        return _time(self._record.expires_at)

    @property
    def result(self) -> Any:
        """The value that it returned; None if it has none, or if that is not kept any more."""
        try:
            return self._value
        except AttributeError:
            found = self._result
            value = None if found is None or found.value is None else self._decoded(found.codec, found.value)
            self._value: Any = value
            return value

    @property
    def error(self) -> str | None:
        """Short text of its latest failure."""
        return self._record.error

    @property
    def worker_id(self) -> str | None:
        """Who runs it."""
        return self._record.worker

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self._record.queue

    @property
    def priority(self) -> int:
        """0 to 9, 9 first."""
        return self._record.priority

    @property
    def unique_key(self) -> str | None:
        """The key that at most one live task of the queue has."""
        return self._record.unique_key

    @property
    def headers(self) -> dict[str, str]:
        """The free-form headers that it was enqueued with."""
        headers = self._record.body.headers
        return {name: value for name, value in headers.items() if not name.startswith(INTERNAL_PREFIX)}

    @property
    def cancel_requested(self) -> bool:
        """Whether its worker is asked to stop it."""
        return self._record.cancel_requested

    @property
    def series_id(self) -> str | None:
        """The id of the first run, if it is one of a repeated task."""
        return self._record.series_id

    @property
    def seq(self) -> int:
        """Its place in the order of enqueuing; what `list_tasks(after=)` takes."""
        return self._record.seq

    def __getitem__(self, name: str) -> Any:
        if name in _NAMES:
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Task):
            return NotImplemented
        mine, theirs = self._record, other._record
        return (mine.id, mine.seq, mine.version) == (theirs.id, theirs.seq, theirs.version)

    def __hash__(self) -> int:
        return hash(self._record.id)

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.func_path} {self.view}>"

    def _ended(self, status: TaskStatus) -> datetime | None:
        return _time(self._record.finished_at) if self._record.state is status else None

    def _decoded(self, codec: str, data: bytes) -> Any:
        try:
            return self._decode(codec, data)
        except Exception as error:  # noqa: BLE001 - one unreadable task must not make a listing fail
            return Undecodable(codec, data, f"{type(error).__name__}: {error}")


def _as_given(text: str | None, eta: int) -> datetime | None:
    """Return the datetime of the header, unless it is another one: later runs of a series inherit the header."""
    try:
        given = None if text is None else datetime.fromisoformat(text)
        return given if given is not None and to_millis(given) == eta else None
    except ValueError:  # written by another program
        return None


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_millis(milliseconds)
