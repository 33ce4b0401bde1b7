"""Tells how far the outcome of a task is known, and turns it into a value or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.clock import from_millis
from omniq.errors import ResultExpiredError, TaskCancelledError, TaskFailedError, TaskNotFoundError
from omniq.models.error import ErrorInfo
from omniq.models.outcome import ResultState, TaskResult
from omniq.models.status import TaskStatus
from omniq.storage.transitions import EXPIRED, is_expired

if TYPE_CHECKING:
    from omniq.models.record import TaskRecord
    from omniq.models.result import ResultRecord
    from omniq.models.task import Decode

__all__ = ["not_found", "outcome_of", "value_of"]


def outcome_of(
    task_id: str, record: TaskRecord | None, stored: ResultRecord | None, *, now: int, decode: Decode
) -> TaskResult[Any]:
    """Judge a task's head and its stored outcome.

    The outcome is final only if the head has ended in the very run that stored it, or is purged. What an earlier run
    left behind counts for nothing.

    Args:
        task_id: Which task.
        record: Its head, or None if there is none.
        stored: What the result storage has.
        now: The store's time.
        decode: Decodes the value.

    Raises:
        TaskNotFoundError: There is neither.
        SerializationError: The value cannot be decoded.
    """
    if record is None:
        if stored is None:
            raise not_found(task_id)
        return _stored(stored, ResultState.FINAL, decode)
    if stored is not None and stored.order != (record.seq, record.epoch):
        stored = None
    if record.state.is_terminal:
        return _ended(record) if stored is None else _stored(stored, ResultState.FINAL, decode)
    if is_expired(record, now):
        return TaskResult(
            task_id=task_id, state=ResultState.FINAL, status=TaskStatus.FAILED, error=ErrorInfo(type=EXPIRED)
        )
    if stored is not None and record.state is TaskStatus.RUNNING:
        return _stored(stored, ResultState.PROVISIONAL, decode)
    return TaskResult(task_id=task_id, state=ResultState.PENDING, status=record.state)


def value_of(result: TaskResult[Any]) -> Any:
    """Return the value of an outcome that is not pending.

    Raises:
        TaskFailedError: The task failed.
        TaskCancelledError: The task was cancelled.
        ResultExpiredError: Its value is gone.
    """
    task_id = result.task_id
    if result.state is ResultState.EXPIRED:
        msg = (
            f"Task {task_id} completed, but its result is gone: it was kept only for the task's result_ttl. Read "
            "results sooner, or keep them longer with result_ttl= or the setting default_ttl."
        )
        raise ResultExpiredError(msg, task_id=task_id)
    if result.status is TaskStatus.CANCELLED:
        raise TaskCancelledError(f"Task {task_id} was cancelled.", task_id=task_id)
    if result.status is TaskStatus.FAILED:
        error = result.error or ErrorInfo(type="unknown")
        raise TaskFailedError(
            f"Task {task_id} failed: {error.summary()}",
            task_id=task_id,
            error_type=error.type,
            error_message=error.message,
            traceback=error.traceback,
        )
    return result.value


def not_found(task_id: str) -> TaskNotFoundError:
    """Return the error of an id that no task has."""
    msg = (
        f"No task has the id {task_id!r}. Either it never existed in this store, or it ended and was purged after the "
        "setting task_retention; `omniq config show` tells which store is used."
    )
    return TaskNotFoundError(msg, task_id=task_id)


def _stored(stored: ResultRecord, state: ResultState, decode: Decode) -> TaskResult[Any]:
    return TaskResult(
        task_id=stored.id,
        state=state,
        status=stored.status,
        value=None if stored.value is None else decode(stored.codec, stored.value),
        error=None if stored.error is None else ErrorInfo.from_json(stored.error),
        finished_at=stored.finished_at,
        expires_at=None if stored.expires_at is None else from_millis(stored.expires_at),
    )


def _ended(record: TaskRecord) -> TaskResult[Any]:
    """Return the outcome of a task that has ended and of which the result storage has nothing.

    One that ended without a run (cancelled, expired) has a record there only once a worker has relayed it, and the
    head says all of it; a value is in the result storage before its task ends, so it is there or has expired.
    """
    error = None
    if record.state is TaskStatus.FAILED:
        kind, _, message = (record.error or "unknown").partition(": ")
        error = ErrorInfo(type=kind, message=message)
    return TaskResult(
        task_id=record.id,
        state=ResultState.EXPIRED if record.state is TaskStatus.COMPLETED else ResultState.FINAL,
        status=record.state,
        error=error,
        finished_at=None if record.finished_at is None else from_millis(record.finished_at),
    )
