"""One entry of the lifecycle log."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

from omniq.clock import from_millis
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from datetime import datetime


__all__ = ["Event", "EventFilter", "EventType"]


class EventType(StrEnum):
    """What happened to a task or to a schedule."""

    ENQUEUED = "ENQUEUED"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    RETRYING = "RETRYING"
    RELEASED = "RELEASED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCELLED = "CANCELLED"
    LEASE_EXPIRED = "LEASE_EXPIRED"
    EXPIRED = "EXPIRED"
    REDRIVEN = "REDRIVEN"
    SCHEDULE_FIRED = "SCHEDULE_FIRED"
    SCHEDULE_MISFIRED = "SCHEDULE_MISFIRED"
    SCHEDULE_PAUSED = "SCHEDULE_PAUSED"
    SCHEDULE_RESUMED = "SCHEDULE_RESUMED"


@attrs.define(kw_only=True)
class Event:
    """One transition; also the entry of a queue's outbox until it was written to the event storage.

    The event's id is `<task id>:<seq>:<version>`. Per task the versions run from 1 without a gap, and folding them in
    order reproduces the record apart from `lease_until`.

    Attributes:
        task_id: The task's id, or `sched:<schedule id>` with seq 0.
        seq: The task's sequence number.
        version: The task's (or the schedule's) version after the transition.
        type: What happened.
        at: When, in milliseconds since the epoch, by the queue's clock.
        queue: The task's queue.
        state: The task's state after the transition.
        attempt: The attempts used after the transition.
        epoch: The task's epoch after the transition.
        ready_at: When the task may be claimed, if the transition left it PENDING.
        worker: Who ran it, where a worker did or lost it.
        error: Short text of the failure.
        duration_ms: How long the attempt ran, where one ended.
        position: The opaque place in the log; set only on events that were read.
    """

    task_id: str
    seq: int
    version: int
    type: EventType
    at: int
    queue: str = ""
    state: TaskStatus | None = None
    attempt: int = 0
    epoch: int = 0
    ready_at: int | None = None
    worker: str | None = None
    error: str | None = None
    duration_ms: int | None = None
    position: str | None = None

    @property
    def event_id(self) -> str:
        """The identity of the event; appending a known one changes nothing."""
        return f"{self.task_id}:{self.version}" if self.seq == 0 else f"{self.task_id}:{self.seq}:{self.version}"

    @property
    def time(self) -> datetime:
        """When it happened, in UTC."""
        return from_millis(self.at)


@attrs.frozen(kw_only=True)
class EventFilter:
    """Which events are meant; all conditions that are given must hold."""

    task_id: str | None = None
    types: frozenset[EventType] | None = None
    queues: frozenset[str] | None = None
    at_from: int | None = None
    at_before: int | None = None

    def matches(self, event: Event) -> bool:
        """Tell whether the event is meant; the definition that every backend's query must equal."""
        return (
            (self.task_id is None or event.task_id == self.task_id)
            and (self.types is None or event.type in self.types)
            and (self.queues is None or event.queue in self.queues)
            and (self.at_from is None or event.at >= self.at_from)
            and (self.at_before is None or event.at < self.at_before)
        )
