"""The parts of the blocking facade: the methods of `AsyncOmniQ`, each run in the portal."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from omniq.models.schedule import MisfirePolicy
from omniq.queue.job import SyncJob, jobs_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from omniq.app.async_app import AsyncOmniQ
    from omniq.app.portal import Portal
    from omniq.models.event import Event, EventType
    from omniq.models.outcome import TaskResult
    from omniq.models.record import CancelReply, QueueStats, RedriveReply
    from omniq.models.schedule import Schedule
    from omniq.models.task import Task
    from omniq.queue.filters import FilterArguments, Several, Status
    from omniq.queue.job import Job, SyncJobClient, TaskRef
    from omniq.queue.options import CallArguments, Duration, TaskArguments
    from omniq.queue.task import ManyArguments, TaskCall, TaskHandle

__all__ = ["SyncController", "SyncInspector", "SyncProducer", "SyncScheduleClient"]

R = TypeVar("R")

_FETCHED = 1000


class Blocking:
    """What every part has."""

    _app: AsyncOmniQ
    _portal: Portal

    @property
    def _sync_jobs(self) -> SyncJobClient:
        raise NotImplementedError

    def _sync(self, job: Job[R]) -> SyncJob[R]:
        return SyncJob(job.id, self._sync_jobs, created=job.created)


class SyncProducer(Blocking):
    """The part that enqueues; see `omniq.queue.producer.Producer`."""

    @overload
    def enqueue(self, func: TaskCall[R], /, **options: Unpack[CallArguments]) -> SyncJob[R]: ...
    @overload
    def enqueue(
        self,
        func: TaskHandle[..., R],
        args: list[Any] | tuple[Any, ...] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        **options: Unpack[CallArguments],
    ) -> SyncJob[R]: ...
    @overload
    def enqueue(
        self,
        func: Callable[..., Coroutine[Any, Any, R]],
        args: list[Any] | tuple[Any, ...] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        **options: Unpack[CallArguments],
    ) -> SyncJob[R]: ...
    @overload
    def enqueue(
        self,
        func: Callable[..., R],
        args: list[Any] | tuple[Any, ...] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        **options: Unpack[CallArguments],
    ) -> SyncJob[R]: ...
    @overload
    def enqueue(
        self,
        func: str,
        args: list[Any] | tuple[Any, ...] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        **options: Unpack[CallArguments],
    ) -> SyncJob[Any]: ...

    def enqueue(
        self,
        func: Any,
        args: list[Any] | tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallArguments],
    ) -> SyncJob[Any]:
        """Have a worker run a function; the call returns when the task is stored. As `AsyncOmniQ.enqueue`."""
        enqueue: Callable[..., Coroutine[Any, Any, Job[Any]]] = self._app.enqueue
        return self._sync(self._portal.call(enqueue, func, args, kwargs, **options))

    @overload
    def enqueue_many(
        self, func: Iterable[TaskCall[Any]], /, **options: Unpack[TaskArguments]
    ) -> list[SyncJob[Any]]: ...
    @overload
    def enqueue_many(
        self, func: TaskHandle[..., R], calls: ManyArguments, /, **options: Unpack[TaskArguments]
    ) -> list[SyncJob[R]]: ...
    @overload
    def enqueue_many(
        self, func: Callable[..., Any] | str, calls: ManyArguments, /, **options: Unpack[TaskArguments]
    ) -> list[SyncJob[Any]]: ...

    def enqueue_many(
        self, func: Any, calls: ManyArguments | None = None, /, **options: Unpack[TaskArguments]
    ) -> list[SyncJob[Any]]:
        """Have workers run many calls, stored a thousand at a time. As `AsyncOmniQ.enqueue_many`."""
        # A generator of the caller runs in the caller's thread.
        if calls is None:
            func = list(func) if isinstance(func, Iterable) and not isinstance(func, str) else func
        else:
            calls = list(calls)
        enqueue_many: Callable[..., Coroutine[Any, Any, list[Job[Any]]]] = self._app.enqueue_many
        jobs = self._portal.call(enqueue_many, func, calls, **options)
        return jobs_of(SyncJob, self._sync_jobs, ((job.id, job.created) for job in jobs))


class SyncInspector(Blocking):
    """The part that reads; see `omniq.queue.inspector.Inspector`."""

    def get_task(self, task: TaskRef) -> Task:
        """Return the record of a task, with its result. As `AsyncOmniQ.get_task`."""
        return self._portal.call(self._app.get_task, task)

    def list_tasks(
        self,
        *,
        limit: int | None = None,
        after: int | Task | None = None,
        newest_first: bool = False,
        **conditions: Unpack[FilterArguments],
    ) -> list[Task]:
        """Return tasks in the order in which they were enqueued; without a limit all. As `AsyncOmniQ.list_tasks`."""
        return self._portal.call(
            self._app.list_tasks, limit=limit, after=after, newest_first=newest_first, **conditions
        )

    def iter_tasks(
        self,
        *,
        limit: int | None = None,
        after: int | Task | None = None,
        newest_first: bool = False,
        **conditions: Unpack[FilterArguments],
    ) -> Iterator[Task]:
        """Yield tasks as `list_tasks` returns them, reading a page at a time. As `AsyncOmniQ.iter_tasks`."""
        return self._portal.iterate(
            self._app.iter_tasks, _FETCHED, limit=limit, after=after, newest_first=newest_first, **conditions
        )

    def count_tasks(self, **conditions: Unpack[FilterArguments]) -> int:
        """Return how many tasks the conditions mean. As `AsyncOmniQ.count_tasks`."""
        return self._portal.call(self._app.count_tasks, **conditions)

    def get_result(self, task: TaskRef) -> TaskResult[Any]:
        """Return what is known of the outcome of a task, without waiting. As `AsyncOmniQ.get_result`."""
        return self._portal.call(self._app.get_result, task)

    def wait_result(self, task: TaskRef, timeout: float | None = None) -> Any:
        """Wait until a task has ended and return what its function returned. As `AsyncOmniQ.wait_result`."""
        return self._portal.call(self._app.wait_result, task, timeout)

    def events(
        self,
        task: TaskRef | None = None,
        *,
        types: Several[EventType | str] | None = None,
        queue: Several[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        after: str | None = None,
        newest_first: bool = False,
    ) -> list[Event]:
        """Return events in the order in which they were recorded; without a limit all. As `AsyncOmniQ.events`."""
        return self._portal.call(
            self._app.events,
            task,
            types=types,
            queue=queue,
            since=since,
            until=until,
            limit=limit,
            after=after,
            newest_first=newest_first,
        )

    def tail_events(
        self,
        task: TaskRef | None = None,
        *,
        types: Several[EventType | str] | None = None,
        queue: Several[str] | None = None,
        after: str | None = None,
    ) -> Iterator[Event]:
        """Yield events as they are recorded, without end. As `AsyncOmniQ.tail_events`."""
        return self._portal.iterate(self._app.tail_events, 1, task, types=types, queue=queue, after=after)

    def stats(self) -> list[QueueStats]:
        """Return how many tasks each queue has in which state. As `AsyncOmniQ.stats`."""
        return self._portal.call(self._app.stats)


class SyncController(Blocking):
    """The part that cancels, repeats, removes and pauses; see `omniq.queue.controller.Controller`."""

    @overload
    def cancel(self, task: TaskRef) -> CancelReply: ...  # type: ignore[overload-overlap]  # text is iterable
    @overload
    def cancel(self, task: Iterable[TaskRef]) -> dict[str, CancelReply]: ...
    @overload
    def cancel(self, **conditions: Unpack[FilterArguments]) -> dict[str, CancelReply]: ...

    def cancel(
        self, task: TaskRef | Iterable[TaskRef] | None = None, **conditions: Unpack[FilterArguments]
    ) -> CancelReply | dict[str, CancelReply]:
        """Cancel waiting tasks at once, and ask workers to stop running ones. As `AsyncOmniQ.cancel`."""
        return self._portal.call(self._app.cancel, task, **conditions)  # type: ignore[arg-type]  # overloads

    @overload
    def retry(self, task: TaskRef) -> RedriveReply: ...  # type: ignore[overload-overlap]  # text is iterable
    @overload
    def retry(self, task: Iterable[TaskRef]) -> dict[str, RedriveReply]: ...
    @overload
    def retry(self, **conditions: Unpack[FilterArguments]) -> dict[str, RedriveReply]: ...

    def retry(
        self, task: TaskRef | Iterable[TaskRef] | None = None, **conditions: Unpack[FilterArguments]
    ) -> RedriveReply | dict[str, RedriveReply]:
        """Put failed and cancelled tasks back into their queues. As `AsyncOmniQ.retry`."""
        return self._portal.call(self._app.retry, task, **conditions)  # type: ignore[arg-type]  # overloads

    def purge(
        self,
        *,
        status: Several[Status] | None = None,
        older_than: Duration | None = None,
        pinned: bool = False,
        results: bool = False,
    ) -> int:
        """Remove tasks that have ended; return how many. As `AsyncOmniQ.purge`."""
        return self._portal.call(self._app.purge, status=status, older_than=older_than, pinned=pinned, results=results)

    def pause(self, queues: Several[str]) -> None:
        """Stop workers from taking tasks out of these queues, durably. As `AsyncOmniQ.pause`."""
        self._portal.call(self._app.pause, queues)

    def resume(self, queues: Several[str]) -> None:
        """Let workers take tasks out of these queues again. As `AsyncOmniQ.resume`."""
        self._portal.call(self._app.resume, queues)


class SyncScheduleClient(Blocking):
    """The part that keeps schedules; see `omniq.queue.schedules.ScheduleClient`."""

    def add_schedule(
        self,
        id: str,
        func: TaskCall[Any] | TaskHandle[..., Any] | Callable[..., Any] | str,
        args: list[Any] | tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        cron: str | None = None,
        zone: str = "UTC",
        interval: timedelta | None = None,
        at: datetime | None = None,
        misfire: MisfirePolicy | str = MisfirePolicy.COALESCE,
        grace: Duration | None = None,
        jitter: Duration | None = None,
        max_runs: int | None = None,
        paused: bool | None = None,
        queue: str | None = None,
        priority: int | None = None,
        max_retries: int | None = None,
        timeout: Duration | None = None,
        result_ttl: Duration | None = None,
        expires_in: Duration | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Schedule:
        """Keep a schedule, which every worker fires. As `AsyncOmniQ.add_schedule`."""
        return self._portal.call(
            self._app.add_schedule,
            id,
            func,
            args,
            kwargs,
            cron=cron,
            zone=zone,
            interval=interval,
            at=at,
            misfire=misfire,
            grace=grace,
            jitter=jitter,
            max_runs=max_runs,
            paused=paused,
            queue=queue,
            priority=priority,
            max_retries=max_retries,
            timeout=timeout,
            result_ttl=result_ttl,
            expires_in=expires_in,
            headers=headers,
        )

    def get_schedule(self, id: str) -> Schedule:
        """Return a schedule. As `AsyncOmniQ.get_schedule`."""
        return self._portal.call(self._app.get_schedule, id)

    def list_schedules(self) -> list[Schedule]:
        """Return all schedules, by id. As `AsyncOmniQ.list_schedules`."""
        return self._portal.call(self._app.list_schedules)

    def pause_schedule(self, id: str) -> Schedule:
        """Pass a schedule over until it is resumed. As `AsyncOmniQ.pause_schedule`."""
        return self._portal.call(self._app.pause_schedule, id)

    def resume_schedule(self, id: str) -> Schedule:
        """Let a paused schedule fire again. As `AsyncOmniQ.resume_schedule`."""
        return self._portal.call(self._app.resume_schedule, id)

    def delete_schedule(self, id: str) -> bool:
        """Remove a schedule; False if there was none. As `AsyncOmniQ.delete_schedule`."""
        return self._portal.call(self._app.delete_schedule, id)

    def run_schedule(self, id: str) -> SyncJob[Any]:
        """Enqueue a schedule's task now, besides its fire times. As `AsyncOmniQ.run_schedule`."""
        return self._sync(self._portal.call(self._app.run_schedule, id))

    def next_fire_times(self, id: str, count: int = 5) -> list[datetime]:
        """Return the next nominal fire times in UTC. As `AsyncOmniQ.next_fire_times`."""
        return self._portal.call(self._app.next_fire_times, id, count)
