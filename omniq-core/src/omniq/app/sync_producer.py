"""Enqueuing, for programs that block."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from omniq.app.blocking import Blocking
from omniq.queue.job import SyncJob, jobs_of

if TYPE_CHECKING:
    from omniq.queue.job import Job
    from omniq.queue.options import BatchArguments, CallArguments
    from omniq.queue.task import ManyArguments, TaskCall, TaskHandle

__all__ = ["SyncProducer"]

R = TypeVar("R")


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
        self, func: Iterable[TaskCall[Any]], /, **options: Unpack[BatchArguments]
    ) -> list[SyncJob[Any]]: ...
    @overload
    def enqueue_many(
        self, func: TaskHandle[..., R], calls: ManyArguments, /, **options: Unpack[BatchArguments]
    ) -> list[SyncJob[R]]: ...
    @overload
    def enqueue_many(
        self, func: Callable[..., Any] | str, calls: ManyArguments, /, **options: Unpack[BatchArguments]
    ) -> list[SyncJob[Any]]: ...

    def enqueue_many(
        self, func: Any, calls: ManyArguments | None = None, /, **options: Unpack[BatchArguments]
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
