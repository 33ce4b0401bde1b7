"""The states of a task and the views on them."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["LIVE", "TERMINAL", "TaskStatus", "TaskView"]


class TaskStatus(StrEnum):
    """The stored state of a task."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        """Whether a task in this state has ended."""
        return self in TERMINAL


class TaskView(StrEnum):
    """What a state means at a moment; derived from the record and the time, never stored."""

    SCHEDULED = "SCHEDULED"
    """PENDING, and `ready_at` is in the future."""
    READY = "READY"
    """PENDING, not expired, and `ready_at` has come."""
    EXPIRED = "EXPIRED"
    """PENDING, and `expires_at` has come; the next sweep ends it as FAILED."""
    STALE = "STALE"
    """RUNNING, and the lease has run out; the next claim recovers it."""


LIVE: frozenset[TaskStatus] = frozenset({TaskStatus.PENDING, TaskStatus.RUNNING})
TERMINAL: frozenset[TaskStatus] = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
