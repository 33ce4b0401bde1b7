"""Looking into the queues."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack

from omniq.errors import ConfigError
from omniq.models.event import EventFilter, EventType
from omniq.models.outcome import ResultState
from omniq.models.redaction import show
from omniq.models.task import Task
from omniq.queue.connection import Client
from omniq.queue.filters import FilterArguments, names_of, parse_filter, parse_members, parse_time
from omniq.queue.job import id_of
from omniq.queue.outcomes import not_found, outcome_of, value_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from omniq.models.event import Event
    from omniq.models.outcome import TaskResult
    from omniq.models.record import QueueStats
    from omniq.queue.connection import Connection
    from omniq.queue.filters import Several
    from omniq.queue.job import TaskRef

__all__ = ["Inspector"]

_PAGE = 1000
_ENDED = frozenset({ResultState.FINAL, ResultState.EXPIRED})


class Inspector(Client):
    """The part of a facade that reads."""

    async def get_task(self, task: TaskRef) -> Task:
        """Return the record of a task, with its result.

        Raises:
            TaskNotFoundError: No task has this id.
        """
        task_id = id_of(task)
        connection = await self._connection()
        record, result = await connection.find(task_id)
        if record is None:
            raise not_found(task_id)
        return connection.task(record, await connection.now_for([record]), result)

    async def list_tasks(
        self,
        *,
        limit: int | None = None,
        after: int | Task | None = None,
        newest_first: bool = False,
        **conditions: Unpack[FilterArguments],
    ) -> list[Task]:
        """Return tasks in the order in which they were enqueued; without a limit, all of them.

        Args:
            limit: The most tasks.
            after: Go on behind this task (or its `seq`), the last one of the page before.
            newest_first: The other way round.
            **conditions: `status` (a state or a view, one or several), `queue`, `func`, `unique_key`, `series_id`,
                `since`, `until`.

        Raises:
            ConfigError: A condition is invalid.
        """
        tasks = self.iter_tasks(limit=limit, after=after, newest_first=newest_first, **conditions)
        return [task async for task in tasks]

    async def iter_tasks(
        self,
        *,
        limit: int | None = None,
        after: int | Task | None = None,
        newest_first: bool = False,
        **conditions: Unpack[FilterArguments],
    ) -> AsyncIterator[Task]:
        """Yield tasks as `list_tasks` returns them, reading a page at a time."""
        chosen = parse_filter(**conditions)
        left = _limit(limit)
        seq = after.seq if isinstance(after, Task) else after
        connection = await self._connection()
        while left:
            size = min(left, _PAGE)
            records = await connection.queue.list(chosen, after=seq, limit=size, desc=newest_first)
            now = await connection.now_for(records)
            ended = [record.id for record in records if record.state.is_terminal]
            found = await connection.stores.results.get(ended) if ended else []
            results = dict(zip(ended, found, strict=True))
            for record in records:
                yield connection.task(record, now, results.get(record.id))
            if len(records) < size:
                return
            left -= len(records)
            seq = records[-1].seq

    async def count_tasks(self, **conditions: Unpack[FilterArguments]) -> int:
        """Return how many tasks the conditions mean; they are those of `list_tasks`."""
        chosen = parse_filter(**conditions)
        connection = await self._connection()
        return await connection.queue.count(chosen)

    async def get_result(self, task: TaskRef) -> TaskResult[Any]:
        """Return what is known of the outcome of a task, without waiting.

        Its `state` tells whether that is final, provisional, pending, or expired.

        Raises:
            TaskNotFoundError: No task has this id.
            SerializationError: The value cannot be decoded.
        """
        return await _outcome(await self._connection(), id_of(task))

    async def wait_result(self, task: TaskRef, timeout: float | None = None) -> Any:
        """Wait until a task has ended and return what its function returned.

        Args:
            task: Which task.
            timeout: Seconds; None waits as long as it takes.

        Raises:
            TaskFailedError: It failed; the error has the traceback of the worker.
            TaskCancelledError: It was cancelled.
            ResultExpiredError: It completed, but its result is not kept any more.
            TaskNotFoundError: No task has this id.
            TimeoutError: The time ran out.
        """
        task_id = id_of(task)
        connection = await self._connection()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await connection.waiter.wait(task_id)
                    outcome = await _outcome(connection, task_id)
                    if outcome.state in _ENDED:  # else it was retried meanwhile
                        return value_of(outcome)
        except TimeoutError:
            msg = (
                f"Task {task_id} has not ended within {timeout} s. Wait longer, or see with `omniq task` whether it "
                "runs, waits for its time, or waits for a worker."
            )
            raise TimeoutError(msg) from None

    async def events(
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
        """Return events in the order in which they were recorded; without a limit, all of them.

        Args:
            task: Of this task; `sched:<id>` means a schedule.
            types: Of these types, such as `FAILED`.
            queue: Of tasks of these queues.
            since: Not before this time.
            until: Before this time.
            limit: The most events.
            after: Go on behind this `position`.
            newest_first: The other way round.

        Raises:
            ConfigError: A condition is invalid.
        """
        chosen = _event_filter(task, types, queue, since, until)
        connection = await self._connection()
        left = _limit(limit)
        events: list[Event] = []
        while left:
            size = min(left, _PAGE)
            page = await connection.stores.events.read(after=after, limit=size, filter=chosen, desc=newest_first)
            events += page
            if len(page) < size:
                break
            left -= len(page)
            after = page[-1].position
        return events

    async def tail_events(
        self,
        task: TaskRef | None = None,
        *,
        types: Several[EventType | str] | None = None,
        queue: Several[str] | None = None,
        after: str | None = None,
    ) -> AsyncIterator[Event]:
        """Yield events as they are recorded, without end.

        Args:
            task: Of this task; `sched:<id>` means a schedule.
            types: Of these types.
            queue: Of tasks of these queues.
            after: Begin behind this `position`; None begins now.
        """
        chosen = _event_filter(task, types, queue, None, None)
        connection = await self._connection()
        async for event in connection.stores.events.tail(after=after, filter=chosen):
            yield event

    async def stats(self) -> list[QueueStats]:
        """Return how many tasks each queue has in which state, by name; every queue that has a task or is paused."""
        connection = await self._connection()
        return await connection.queue.queues()


async def _outcome(connection: Connection, task_id: str) -> TaskResult[Any]:
    record, stored = await connection.find(task_id)
    now = 0 if record is None else await connection.now_for([record])
    return outcome_of(task_id, record, stored, now=now, decode=connection.decode)


def _limit(limit: int | None) -> int:
    if limit is None:
        return 2**63
    if type(limit) is int and limit >= 0:
        return limit
    msg = f"limit: {show(limit)} is not a number of records. Give an integer, or leave it out for all."
    raise ConfigError(msg)


def _event_filter(
    task: TaskRef | None,
    types: Several[EventType | str] | None,
    queue: Several[str] | None,
    since: datetime | None,
    until: datetime | None,
) -> EventFilter:
    return EventFilter(
        task_id=None if task is None else id_of(task),
        types=None if types is None else parse_members(types, "types", EventType),
        queues=None if queue is None else names_of(queue, "queue"),
        at_from=None if since is None else parse_time(since, "since"),
        at_before=None if until is None else parse_time(until, "until"),
    )
