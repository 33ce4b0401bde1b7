"""Looking into the queues, for programs that block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from omniq.app.blocking import Blocking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from omniq.models.event import Event, EventType
    from omniq.models.outcome import TaskResult
    from omniq.models.record import QueueStats
    from omniq.models.task import Task
    from omniq.queue.filters import FilterArguments, Several
    from omniq.queue.job import TaskRef

__all__ = ["SyncInspector"]

_FETCHED = 1000


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
