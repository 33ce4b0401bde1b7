"""What the storage API carries: task specifications, records, tokens and the items of batches.

All times are integer milliseconds since 1970-01-01 UTC. These classes are on the hot path: they are slotted and
plain rather than frozen, because a frozen attrs class costs three times as much to make. Nobody changes one that
it did not make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import attrs

from omniq.models.status import TaskStatus, TaskView

if TYPE_CHECKING:
    from omniq.models.result import ResultRecord

__all__ = [
    "CancelReply",
    "Completion",
    "Enqueued",
    "Failure",
    "Grant",
    "HeartbeatReply",
    "QueueStats",
    "RedriveReply",
    "Release",
    "SettleReply",
    "TaskBody",
    "TaskFilter",
    "TaskRecord",
    "TaskSpec",
    "Token",
]


HeartbeatReply = Literal["ok", "cancel", "lost"]
SettleReply = Literal["ok", "PENDING", "FAILED", "CANCELLED", "already", "lost"]
CancelReply = Literal["cancelled", "requested", "finished", "missing"]
RedriveReply = Literal["ok", "invalid", "conflict", "missing"]

NO_HEADERS: Mapping[str, str] = {}


class Token(NamedTuple):
    """The fencing token of one claim: every change by a worker is a compare-and-set on all three parts.

    Attributes:
        seq: Assigned when the task was enqueued, never used again, so that a purged and reused id is told apart.
        epoch: Grows at every claim and never falls.
        nonce: The `claim_id` of the claim call (8 random bytes as 16 hex digits); guards against an engine that was
            restored from a backup or failed over, and so rolled `epoch` back.
    """

    seq: int
    epoch: int
    nonce: str


@attrs.define(kw_only=True)
class TaskBody:
    """The immutable part of a task, written once.

    Attributes:
        func: The import path or registered name of the function.
        args: The encoded list of positional arguments.
        kwargs: The encoded mapping of keyword arguments.
        codec: The name of the serializer that encoded `args` and `kwargs`.
        headers: Free-form text by name, such as a trace context.
        timeout_ms: How long one attempt may run; None is without limit.
        result_ttl_ms: How long the result is kept after the end of the task; None keeps it.
    """

    func: str
    args: bytes = b"[]"
    kwargs: bytes = b"{}"
    codec: str = "json"
    headers: Mapping[str, str] = NO_HEADERS
    timeout_ms: int | None = None
    result_ttl_ms: int | None = None


@attrs.define(kw_only=True)
class TaskSpec:
    """A task that is to be enqueued.

    Attributes:
        id: Unique in the namespace.
        body: What to run.
        queue: The name of the queue.
        priority: 0 to 9, 9 first.
        eta: Not to be started before this time; None is at once.
        max_attempts: How often it may be started (`max_retries` + 1).
        unique_key: At most one live task of a queue has it.
        expires_at: If it is still waiting then, it ends as FAILED("expired").
        interval_ms: If set, this is the first run of a series and the next one is enqueued when this one ends.
        series_id: The id of the first run; set by the store for the runs that follow.
        nominal_at: The nominal time of this run in its series; set by the store for the runs that follow.
        pinned: The id has a meaning (chosen by the caller, or made from a schedule's fire time), so the ended task is
            kept for at least 24 hours to recognise a repeat.
    """

    id: str
    body: TaskBody
    queue: str = "default"
    priority: int = 0
    eta: int | None = None
    max_attempts: int = 4
    unique_key: str | None = None
    expires_at: int | None = None
    interval_ms: int | None = None
    series_id: str | None = None
    nominal_at: int | None = None
    pinned: bool = False


@attrs.define(kw_only=True)
class TaskRecord:
    """The whole stored task: the head at one moment, and the body.

    Attributes:
        ready_at: When it may be claimed; meaningful while PENDING.
        attempts: How many attempts were used (a release gives one back).
        version: Grows by one at every change but a heartbeat; the number of the task's latest event.
        lease_until: Set while RUNNING.
        error: Short text of the latest failure.
    """

    id: str
    body: TaskBody
    seq: int
    queue: str
    priority: int
    eta: int | None
    max_attempts: int
    unique_key: str | None
    expires_at: int | None
    interval_ms: int | None
    series_id: str | None
    nominal_at: int | None
    pinned: bool
    ready_at: int
    enqueued_at: int
    state: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    epoch: int = 0
    nonce: str = ""
    version: int = 1
    lease_until: int | None = None
    worker: str | None = None
    cancel_requested: bool = False
    started_at: int | None = None
    finished_at: int | None = None
    error: str | None = None

    @property
    def token(self) -> Token:
        """The latest token; current only while the task is RUNNING."""
        return Token(self.seq, self.epoch, self.nonce)

    def view(self, now: int) -> TaskStatus | TaskView:
        """Return what the state means at `now`."""
        if self.state is TaskStatus.PENDING:
            if self.expires_at is not None and self.expires_at <= now:
                return TaskView.EXPIRED
            return TaskView.SCHEDULED if self.ready_at > now else TaskView.READY
        if self.state is TaskStatus.RUNNING and self.lease_until is not None and self.lease_until <= now:
            return TaskView.STALE
        return self.state


class Enqueued(NamedTuple):
    """The answer to one specification: `created`, or the id of the task that stands in its place."""

    id: str
    created: bool


@attrs.define
class Grant:
    """One claimed task: what a worker needs to run it and to settle it.

    Positional on purpose: backends make one per claimed task from a row.
    """

    id: str
    token: Token
    attempt: int
    max_attempts: int
    queue: str
    priority: int
    enqueued_at: int
    ready_at: int
    lease_until: int
    body: TaskBody
    series_id: str | None = None
    nominal_at: int | None = None

    @classmethod
    def of(cls, record: TaskRecord) -> Self:
        """Return the grant under which a RUNNING task is held."""
        return cls(
            record.id,
            record.token,
            record.attempts,
            record.max_attempts,
            record.queue,
            record.priority,
            record.enqueued_at,
            record.ready_at,
            record.lease_until or 0,
            record.body,
            record.series_id,
            record.nominal_at,
        )


class Completion(NamedTuple):
    """Settle one run as COMPLETED.

    A queue that joined the result role stores `result` in the same step; None stands for a result without a value.
    """

    id: str
    token: Token
    result: ResultRecord | None = None


class Failure(NamedTuple):
    """Settle one run as failed: retried at `retry_at` if attempts are left, else FAILED.

    `result` is what a queue that joined the result role stores if the task ends here; the queue puts the state that
    the task really got into it (a requested cancel makes it CANCELLED).
    """

    id: str
    token: Token
    error: str
    retry_at: int | None = None
    result: ResultRecord | None = None


class Release(NamedTuple):
    """Give one run back without using up an attempt."""

    id: str
    token: Token
    ready_at: int


@attrs.frozen(kw_only=True)
class TaskFilter:
    """Which tasks are meant; all conditions that are given must hold.

    Attributes:
        states: Stored states or views; a view is judged at the `now` of the call.
        queues: Names of queues.
        funcs: Function paths or registered names, exactly.
        unique_key: Exactly this unique key.
        series_id: Runs of this series.
        ids: Exactly these ids.
        enqueued_from: Enqueued at or after this time.
        enqueued_before: Enqueued before this time.
    """

    states: frozenset[TaskStatus | TaskView] | None = None
    queues: frozenset[str] | None = None
    funcs: frozenset[str] | None = None
    unique_key: str | None = None
    series_id: str | None = None
    ids: frozenset[str] | None = None
    enqueued_from: int | None = None
    enqueued_before: int | None = None

    def matches(self, record: TaskRecord, now: int) -> bool:
        """Tell whether the record is meant at `now`; the definition that every backend's query must equal."""
        return (
            (self.states is None or record.state in self.states or record.view(now) in self.states)
            and (self.queues is None or record.queue in self.queues)
            and (self.funcs is None or record.body.func in self.funcs)
            and (self.unique_key is None or record.unique_key == self.unique_key)
            and (self.series_id is None or record.series_id == self.series_id)
            and (self.ids is None or record.id in self.ids)
            and (self.enqueued_from is None or record.enqueued_at >= self.enqueued_from)
            and (self.enqueued_before is None or record.enqueued_at < self.enqueued_before)
        )


@attrs.frozen(kw_only=True)
class QueueStats:
    """One queue at a moment.

    The counts are disjoint: `scheduled + ready + expired` are the PENDING tasks, `running` includes `stale` ones.

    Attributes:
        oldest_ready_at: The earliest `ready_at` of the ready tasks; the age of the backlog.
    """

    name: str
    paused: bool
    scheduled: int = 0
    ready: int = 0
    expired: int = 0
    running: int = 0
    stale: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    oldest_ready_at: int | None = None
