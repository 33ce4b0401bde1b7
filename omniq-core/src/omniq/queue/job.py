"""What `enqueue` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from omniq.errors import ConfigError
from omniq.models.redaction import show
from omniq.models.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.models.event import Event
    from omniq.models.record import CancelReply, RedriveReply
    from omniq.models.status import TaskStatus

__all__ = ["Job", "JobClient", "JobReference", "SyncJob", "SyncJobClient", "TaskRef", "id_of", "jobs_of"]

J = TypeVar("J", "Job[Any]", "SyncJob[Any]")
R_co = TypeVar("R_co", covariant=True)


class JobReference:
    """The id of a task that was enqueued; it formats, compares and hashes as the id itself.

    Attributes:
        id: The id of the task.
        created: False if nothing was enqueued because this task stands in the way: it has the same id or unique key.
    """

    __slots__ = ("created", "id")

    def __init__(self, task_id: str, *, created: bool = True) -> None:
        self.id = task_id
        self.created = created

    def __str__(self) -> str:
        return self.id

    def __format__(self, spec: str) -> str:
        return format(self.id, spec)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, JobReference):
            return self.id == other.id
        return self.id == other if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}{'' if self.created else ' (existed)'}>"


TaskRef: TypeAlias = str | JobReference | Task
"""Whatever names a task: its id, a job, or a record."""


def id_of(task: TaskRef) -> str:
    """Return the id that is meant.

    Raises:
        ConfigError: It names no task.
    """
    task_id = task if isinstance(task, str) else getattr(task, "id", None)
    if isinstance(task_id, str) and task_id:
        return task_id
    msg = f"{show(task)} names no task. Give an id, a Job or a Task."
    raise ConfigError(msg)


def jobs_of(kind: type[J], client: Any, answers: Iterable[tuple[str, bool]]) -> list[J]:
    """Return one job an answer; for a bulk enqueue, of which their constructor would take a fifth of the time.

    Args:
        kind: `Job` or `SyncJob`.
        client: The application that they ask.
        answers: Their ids, and whether each was created.
    """
    new, jobs = kind.__new__, []
    for task_id, created in answers:
        job = new(kind)
        job.id = task_id
        job.created = created
        job._client = client  # noqa: SLF001 - of a class of this module
        jobs.append(job)
    return jobs


class JobClient(Protocol):
    """What a `Job` asks of the application that made it."""

    async def get_task(self, task: TaskRef) -> Task:
        """Return the record."""
        ...

    async def wait_result(self, task: TaskRef, timeout: float | None = None) -> Any:
        """Return the value when the task has ended."""
        ...

    async def cancel(self, task: str) -> CancelReply:
        """Cancel it."""
        ...

    async def retry(self, task: str) -> RedriveReply:
        """Put it back."""
        ...

    async def events(self, task: TaskRef) -> list[Event]:
        """Return what happened to it."""
        ...


class SyncJobClient(Protocol):
    """What a `SyncJob` asks of the application that made it."""

    def get_task(self, task: TaskRef) -> Task:
        """Return the record."""
        ...

    def wait_result(self, task: TaskRef, timeout: float | None = None) -> Any:
        """Return the value when the task has ended."""
        ...

    def cancel(self, task: str) -> CancelReply:
        """Cancel it."""
        ...

    def retry(self, task: str) -> RedriveReply:
        """Put it back."""
        ...

    def events(self, task: TaskRef) -> list[Event]:
        """Return what happened to it."""
        ...


class Job(JobReference, Generic[R_co]):
    """A task that `AsyncOmniQ` enqueued; `R` is what its function returns."""

    __slots__ = ("_client",)

    def __init__(self, task_id: str, client: JobClient, *, created: bool = True) -> None:
        self.id = task_id
        self.created = created
        self._client = client

    async def result(self, timeout: float | None = None) -> R_co:
        """Wait until the task has ended and return what its function returned.

        Args:
            timeout: Seconds; None waits as long as it takes.

        Raises:
            TaskFailedError: It failed; the error has the traceback of the worker.
            TaskCancelledError: It was cancelled.
            ResultExpiredError: It completed, but its result is not kept any more.
            TaskNotFoundError: There is no such task (any more).
            TimeoutError: The time ran out.
        """
        value: R_co = await self._client.wait_result(self, timeout)
        return value

    async def task(self) -> Task:
        """Return the task's record as it is now."""
        return await self._client.get_task(self)

    async def status(self) -> TaskStatus:
        """Return the task's state as it is now."""
        return (await self.task()).status

    async def done(self) -> bool:
        """Tell whether the task has ended."""
        task = await self.task()
        return task.status.is_terminal or task.is_expired

    async def cancel(self) -> CancelReply:
        """Cancel the task, or ask its worker to; see `AsyncOmniQ.cancel`."""
        return await self._client.cancel(self.id)

    async def retry(self) -> RedriveReply:
        """Put the task back if it failed or was cancelled; see `AsyncOmniQ.retry`."""
        return await self._client.retry(self.id)

    async def events(self) -> list[Event]:
        """Return what happened to the task, oldest first."""
        return await self._client.events(self)


class SyncJob(JobReference, Generic[R_co]):
    """A task that `OmniQ` enqueued; `R` is what its function returns."""

    __slots__ = ("_client",)

    def __init__(self, task_id: str, client: SyncJobClient, *, created: bool = True) -> None:
        self.id = task_id
        self.created = created
        self._client = client

    def result(self, timeout: float | None = None) -> R_co:
        """Wait until the task has ended and return what its function returned.

        Args:
            timeout: Seconds; None waits as long as it takes.

        Raises:
            TaskFailedError: It failed; the error has the traceback of the worker.
            TaskCancelledError: It was cancelled.
            ResultExpiredError: It completed, but its result is not kept any more.
            TaskNotFoundError: There is no such task (any more).
            TimeoutError: The time ran out.
        """
        value: R_co = self._client.wait_result(self, timeout)
        return value

    def task(self) -> Task:
        """Return the task's record as it is now."""
        return self._client.get_task(self)

    def status(self) -> TaskStatus:
        """Return the task's state as it is now."""
        return self.task().status

    def done(self) -> bool:
        """Tell whether the task has ended."""
        task = self.task()
        return task.status.is_terminal or task.is_expired

    def cancel(self) -> CancelReply:
        """Cancel the task, or ask its worker to; see `OmniQ.cancel`."""
        return self._client.cancel(self.id)

    def retry(self) -> RedriveReply:
        """Put the task back if it failed or was cancelled; see `OmniQ.retry`."""
        return self._client.retry(self.id)

    def events(self) -> list[Event]:
        """Return what happened to the task, oldest first."""
        return self._client.events(self)
