"""What a task can learn about its own run, and the run itself as the worker keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from omniq.telemetry.subject import log_subject

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Mapping

    from omniq.models.record import Grant
    from omniq.worker.plans import Plan

__all__ = ["Run", "RunDesk", "TaskContext", "current_task"]

_EPOCH_BITS = 24


class RunDesk(Protocol):
    """Who a running task can turn to."""

    def note(self, run: Run, text: str) -> None:
        """Take a progress note."""
        ...

    def renew_soon(self, run: Run) -> None:
        """Renew the lease now rather than at the next beat."""
        ...

    def superseded(self, run: Run) -> None:
        """Stop a run whose task was granted again."""
        ...


class Run:
    """One claimed task in this worker, from the claim until its outcome is recorded.

    Attributes:
        grant: What was claimed.
        desk: The worker.
        renewed_at: When the call that last extended the lease was sent, seconds of `time.monotonic()`.
        plan: How to run it; set when it starts.
        task: The asyncio task, if it did not finish in its first step.
        why_stopped: Empty, or why it was asked to stop: `cancel`, `timeout`, `lost`, `fenced` or `shutdown`.
        ended: Whether the body ended or was given up; what comes later is ignored.
        deadline: When its `timeout` is over, seconds of `time.monotonic()`; None is without limit.
    """

    __slots__ = ("__weakref__", "deadline", "desk", "ended", "grant", "plan", "renewed_at", "task", "why_stopped")

    def __init__(self, grant: Grant, desk: RunDesk, renewed_at: float) -> None:
        self.grant = grant
        self.desk = desk
        self.renewed_at = renewed_at
        self.why_stopped = ""
        self.ended = False
        self.plan: Plan | None
        self.task: Task[None] | None
        self.deadline: float | None
        self.plan = self.task = self.deadline = None

    def log_fields(self) -> Mapping[str, object]:
        """Return what log records about it carry."""
        grant = self.grant
        return {"task_id": grant.id, "queue": grant.queue, "attempt": grant.attempt, "func": grant.body.func}


class TaskContext:
    """The run that the calling code belongs to. Get it with `current_task()`."""

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    def __repr__(self) -> str:
        return f"<TaskContext {self.id} attempt {self.attempt} of {self.max_attempts}>"

    @property
    def id(self) -> str:
        """The task's id."""
        return self._run.grant.id

    @property
    def func(self) -> str:
        """The import path or registered name of the function."""
        return self._run.grant.body.func

    @property
    def queue(self) -> str:
        """The name of the queue."""
        return self._run.grant.queue

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._run.grant.attempt

    @property
    def max_attempts(self) -> int:
        """How many attempts the task has."""
        return self._run.grant.max_attempts

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the task was enqueued with."""
        return self._run.grant.body.headers

    @property
    def idempotency_key(self) -> str:
        """The same text in every attempt of this task and in no other task.

        Give it to services that accept one, so that a repeated attempt has its effect once.
        """
        return f"{self._run.grant.id}:{self._run.grant.token.seq}"

    @property
    def fencing_token(self) -> int:
        """A number that grows with every claim of this task.

        Store it beside what the task writes and refuse smaller ones: then an attempt that was taken for dead cannot
        overwrite what its successor wrote.
        """
        token = self._run.grant.token
        return token.seq << _EPOCH_BITS | token.epoch

    @property
    def is_cancelled(self) -> bool:
        """Whether the run should stop: cancelled, timed out, taken over by another worker, or shut down.

        Coroutines are cancelled and need not ask; code in threads should, in its loops.
        """
        return self._run.why_stopped != ""

    @property
    def why_cancelled(self) -> str:
        """Empty, or `cancel`, `timeout`, `lost`, `fenced` (the lease cannot be renewed) or `shutdown`."""
        return self._run.why_stopped

    def progress(self, note: str) -> None:
        """Log a note about how far the task is, with its id, queue and attempt."""
        self._run.desk.note(self._run, note)

    def heartbeat(self) -> None:
        """Renew the lease now. Never needed to keep the task; it makes a requested cancel known sooner."""
        self._run.desk.renew_soon(self._run)


def current_task() -> TaskContext:
    """Return the context of the task that the calling code runs in.

    Raises:
        LookupError: The caller does not run in a task.
    """
    run = log_subject.get()
    if isinstance(run, Run):
        return TaskContext(run)
    raise LookupError(
        "current_task() was called outside of a task. Call it in a function that a worker runs; threads that the "
        "task starts itself must run in a copy of its context (contextvars.copy_context().run)."
    )
