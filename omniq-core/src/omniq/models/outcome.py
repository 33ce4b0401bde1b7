"""How a task ended, as applications see it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

import attrs

from omniq.models.error import ErrorInfo
from omniq.models.status import TaskStatus

__all__ = ["ResultState", "TaskResult"]

R = TypeVar("R")


class ResultState(StrEnum):
    """How far the outcome of a task is known."""

    PENDING = "pending"
    """The task has not ended."""
    PROVISIONAL = "provisional"
    """A run has stored its outcome but the task has not ended; another run may still replace it."""
    FINAL = "final"
    """The task has ended, and this is its outcome."""
    EXPIRED = "expired"
    """The task has completed, but its value was kept only for its `result_ttl` and is gone."""


@attrs.frozen(kw_only=True)
class TaskResult(Generic[R]):
    """The outcome of one task, as far as it is known.

    Attributes:
        task_id: The id of the task.
        state: Whether `status`, `value` and `error` are final.
        status: The state of the task; for a provisional outcome the state that it would end in.
        value: What the function returned; None unless COMPLETED.
        error: What went wrong; None if COMPLETED or not ended. No code ran if its traceback is empty.
        finished_at: When the outcome was stored, or the task ended.
        expires_at: Until when the outcome is kept; None is for ever.
    """

    task_id: str
    state: ResultState
    status: TaskStatus
    value: R | None = None
    error: ErrorInfo | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether the task has ended and its outcome is here."""
        return self.state is ResultState.FINAL
