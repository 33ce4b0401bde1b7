"""Interfering with tasks and queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, Unpack, overload

import attrs

from omniq.errors import ConfigError
from omniq.models.durations import DAY, parse_seconds, seconds_to_millis
from omniq.models.record import TaskFilter
from omniq.models.redaction import show
from omniq.models.status import LIVE, TERMINAL, TaskStatus
from omniq.models.task import Task
from omniq.queue.connection import Client
from omniq.queue.filters import FilterArguments, names_of, parse_filter, parse_members
from omniq.queue.job import JobReference, id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from omniq.models.record import CancelReply, RedriveReply
    from omniq.queue.connection import Connection
    from omniq.queue.filters import Several, Status
    from omniq.queue.job import TaskRef
    from omniq.queue.options import Duration

__all__ = ["Controller"]

T = TypeVar("T")

_FAILED = frozenset({TaskStatus.FAILED})
_CHUNK = 1000
_CHASES = 5
_PINNED_MS = DAY * 1000


class Controller(Client):
    """The part of a facade that cancels, repeats, removes and pauses."""

    @overload
    async def cancel(self, task: TaskRef) -> CancelReply: ...  # type: ignore[overload-overlap]  # text is iterable
    @overload
    async def cancel(self, task: Iterable[TaskRef]) -> dict[str, CancelReply]: ...
    @overload
    async def cancel(self, **conditions: Unpack[FilterArguments]) -> dict[str, CancelReply]: ...

    async def cancel(
        self, task: TaskRef | Iterable[TaskRef] | None = None, **conditions: Unpack[FilterArguments]
    ) -> CancelReply | dict[str, CancelReply]:
        """Cancel waiting tasks at once, and ask the workers of running ones to stop them.

        Any run of a repeated task stands for the whole series: its live run is cancelled, and no next one comes.

        Args:
            task: One task, or several.
            **conditions: Instead, those of `list_tasks`; without a `status` the tasks that have not ended.

        Returns:
            For one task, and by id for several: `cancelled`, `requested` (its worker is asked), `finished` (it had
            ended), or `missing` (no task has this id).

        Raises:
            ConfigError: It is not said which tasks are meant, or a condition is invalid.
        """
        chosen = _conditions("cancel", task, conditions, LIVE)
        connection = await self._connection()
        return await _each(connection, task, chosen, lambda ids: _cancel(connection, ids))

    @overload
    async def retry(self, task: TaskRef) -> RedriveReply: ...  # type: ignore[overload-overlap]  # text is iterable
    @overload
    async def retry(self, task: Iterable[TaskRef]) -> dict[str, RedriveReply]: ...
    @overload
    async def retry(self, **conditions: Unpack[FilterArguments]) -> dict[str, RedriveReply]: ...

    async def retry(
        self, task: TaskRef | Iterable[TaskRef] | None = None, **conditions: Unpack[FilterArguments]
    ) -> RedriveReply | dict[str, RedriveReply]:
        """Put failed and cancelled tasks back into their queues, with all their attempts.

        Args:
            task: One task, or several.
            **conditions: Instead, those of `list_tasks`; without a `status` the failed tasks.

        Returns:
            For one task, and by id for several: `ok`, `invalid` (it has neither failed nor been cancelled),
            `conflict` (a live task has its unique key), or `missing` (no task has this id).

        Raises:
            ConfigError: It is not said which tasks are meant, or a condition is invalid.
        """
        chosen = _conditions("retry", task, conditions, _FAILED)
        connection = await self._connection()
        return await _each(connection, task, chosen, connection.queue.redrive)

    async def purge(
        self,
        *,
        status: Several[Status] | None = None,
        older_than: Duration | None = None,
        pinned: bool = False,
        results: bool = False,
    ) -> int:
        """Remove tasks that have ended.

        Args:
            status: In these states; None means all in which a task has ended.
            older_than: Ended at least so long ago, in seconds or as a timedelta; None means all.
            pinned: Also those that ended less than 24 hours ago and have an id of the caller or of a schedule. They
                are kept to recognise a repeat, which without them would be enqueued again.
            results: Also the stored results; otherwise these stay until their `result_ttl` is over.

        Returns:
            How many tasks were removed.

        Raises:
            ConfigError: `status` is no state in which a task has ended, or `older_than` no duration.
        """
        states = TERMINAL if status is None else parse_members(status, "status", TaskStatus)
        if not states <= TERMINAL:
            msg = f"status: {show(status)} is not an end. Only COMPLETED, FAILED and CANCELLED tasks can be purged."
            raise ConfigError(msg)
        try:
            age_ms = seconds_to_millis(0 if older_than is None else parse_seconds(older_than))
        except ValueError as error:
            raise ConfigError(f"older_than: {error}") from None
        if age_ms is None:
            return 0
        connection = await self._connection()
        now = await connection.queue.time()
        before = now - age_ms + 1
        removed = 0
        while True:
            ids = await connection.queue.purge(
                states, before, _CHUNK, pinned_before=before if pinned else min(before, now - _PINNED_MS)
            )
            if results and ids:
                await connection.stores.results.delete(ids)
            removed += len(ids)
            if len(ids) < _CHUNK:
                return removed

    async def pause(self, queues: Several[str]) -> None:
        """Stop workers from taking tasks out of these queues, durably; tasks can still be enqueued."""
        names = sorted(names_of(queues, "queues"))
        connection = await self._connection()
        await connection.queue.pause(names)

    async def resume(self, queues: Several[str]) -> None:
        """Let workers take tasks out of these queues again."""
        names = sorted(names_of(queues, "queues"))
        connection = await self._connection()
        await connection.queue.resume(names)


async def _each(
    connection: Connection,
    task: TaskRef | Iterable[TaskRef] | None,
    conditions: TaskFilter | None,
    act: Callable[[Sequence[str]], Awaitable[Sequence[T]]],
) -> T | dict[str, T]:
    """Act on the one task, on the tasks, or on those that the conditions mean."""
    if isinstance(task, str | JobReference | Task):
        return (await act([id_of(task)]))[0]
    replies: dict[str, T] = {}
    if task is not None:
        ids = list(dict.fromkeys(id_of(item) for item in task))
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            replies |= zip(chunk, await act(chunk), strict=True)
        return replies
    seq = None
    while True:
        records = await connection.queue.list(conditions, after=seq, limit=_CHUNK)
        if records:
            chunk = [record.id for record in records]
            replies |= zip(chunk, await act(chunk), strict=True)
        if len(records) < _CHUNK:
            return replies
        seq = records[-1].seq


def _conditions(
    verb: str, task: object, conditions: FilterArguments, default: frozenset[TaskStatus]
) -> TaskFilter | None:
    """Return the filter of a call, None if it names its tasks; refuse one that says neither or both."""
    given = any(value is not None for value in conditions.values())
    if given != (task is None):
        problem = "both tasks and conditions are given" if given else "it is not said which tasks"
        msg = f"{verb}(): {problem}. Give either, for example {verb}(job) or {verb}(queue='default', status='FAILED')."
        raise ConfigError(msg)
    if not given:
        parse_filter(**conditions)
        return None
    chosen = parse_filter(**conditions)
    return chosen if chosen.states is not None else attrs.evolve(chosen, states=default)


async def _cancel(connection: Connection, ids: Sequence[str]) -> list[CancelReply]:
    """Cancel tasks; where one has ended or is gone but was a run of a series, cancel the series' live run."""
    replies = await connection.queue.cancel(ids)
    over = [index for index, reply in enumerate(replies) if reply in {"finished", "missing"}]
    records = await connection.queue.get([ids[index] for index in over]) if over else []
    for index, record in zip(over, records, strict=True):
        # A purged first run is known by its id only, which is the id of its series.
        series_id = ids[index] if record is None else record.series_id
        if series_id is not None:
            replies[index] = await _cancel_series(connection, series_id) or replies[index]
    return replies


async def _cancel_series(connection: Connection, series_id: str) -> CancelReply | None:
    """Cancel the live run; None if there is none. It may end meanwhile, and then the next one is the live one."""
    live = TaskFilter(series_id=series_id, states=frozenset(LIVE))
    for _ in range(_CHASES):
        runs = await connection.queue.list(live, limit=1)
        if not runs:
            return None
        (reply,) = await connection.queue.cancel([runs[0].id])
        if reply in {"cancelled", "requested"}:
            return reply
    return None
