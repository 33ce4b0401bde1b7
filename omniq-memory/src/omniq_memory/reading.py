"""Listing, counting and statistics of tasks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING

import attrs

from omniq.models.record import QueueStats, TaskRecord
from omniq.models.status import TaskStatus, TaskView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from omniq.models.record import TaskFilter
    from omniq_memory.queue_index import QueueIndex
    from omniq_memory.task_table import TaskTable

__all__ = ["copy_record", "count_tasks", "end_of", "list_tasks", "queue_stats"]

_FIELDS = tuple(field.name for field in attrs.fields(TaskRecord))
_PENDING, _RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING
_WAITING = frozenset({_PENDING, TaskView.SCHEDULED, TaskView.READY, TaskView.EXPIRED})
_STARTED = frozenset({_RUNNING, TaskView.STALE})


def copy_record(record: TaskRecord) -> TaskRecord:
    """Return what the record is now; the store goes on changing its own in place."""
    copy = TaskRecord.__new__(TaskRecord)
    for name in _FIELDS:
        setattr(copy, name, getattr(record, name))
    return copy


def list_tasks(
    tasks: TaskTable, where: TaskFilter | None, after: int | None, limit: int, now: int, *, desc: bool
) -> list[TaskRecord]:
    """Return copies of at most `limit` records by seq, from `after` on."""
    found = _between(_few(tasks, where, 10 * limit), after, desc=desc)
    if found is None:
        found = _scan(tasks, after, desc=desc)
    if where is not None:
        means = _matcher(where, now)
        found = (record for record in found if means(record))
    return [copy_record(record) for record in islice(found, max(limit, 0))]


def count_tasks(tasks: TaskTable, where: TaskFilter | None, now: int) -> int:
    """Return how many records the filter means."""
    if where is None:
        return len(tasks.records)
    if where.states is not None and where == type(where)(states=where.states, queues=where.queues):
        queues = tasks.known(where.queues) if where.queues is not None else list(tasks.queues.values())
        stored = {state for state in TaskStatus if state in where.states}
        if len(stored) == len(where.states):
            return sum(_in_state(queue, state) for queue in queues for state in stored)
    few = _few(tasks, where, len(tasks.records))
    means = _matcher(where, now)
    return sum(1 for record in (tasks.records.values() if few is None else few) if means(record))


def queue_stats(index: QueueIndex, now: int) -> QueueStats:
    """Return the numbers of one queue."""
    scheduled = ready = expired = 0
    oldest: int | None = None
    for record in index.waiting():
        if record.expires_at is not None and record.expires_at <= now:
            expired += 1
        elif record.ready_at > now:
            scheduled += 1
        else:
            ready += 1
            if oldest is None or record.ready_at < oldest:
                oldest = record.ready_at
    return QueueStats(
        name=index.name,
        paused=index.paused,
        scheduled=scheduled,
        ready=ready,
        expired=expired,
        running=len(index.running),
        stale=sum(1 for record in index.running.values() if record.view(now) is TaskView.STALE),
        completed=index.ended["COMPLETED"],
        failed=index.ended["FAILED"],
        cancelled=index.ended["CANCELLED"],
        oldest_ready_at=oldest,
    )


def end_of(record: TaskRecord | None, now: int) -> tuple[bool, TaskStatus | None]:
    """Tell whether a task is done, and as what: its terminal state, FAILED if it is expired, None if it is unknown."""
    if record is None:
        return True, None
    if record.state is _PENDING and record.expires_at is not None and record.expires_at <= now:
        return True, TaskStatus.FAILED
    return record.state is not _PENDING and record.state is not _RUNNING, record.state


def _in_state(queue: QueueIndex, state: TaskStatus) -> int:
    if state is _PENDING:
        return queue.pending
    return len(queue.running) if state is _RUNNING else queue.ended[state.value]


def _few(tasks: TaskTable, where: TaskFilter | None, most: int) -> list[TaskRecord] | None:
    """Return a superset of what the filter means, by seq, if an index has one of at most `most` records."""
    if where is None:
        return None
    found: Iterable[TaskRecord] | None = None
    if where.ids is not None and len(where.ids) <= most:
        found = (tasks.records[task_id] for task_id in where.ids if task_id in tasks.records)
    elif where.states is not None and where.states <= _STARTED | _WAITING:
        waiting, started = bool(where.states & _WAITING), bool(where.states & _STARTED)
        queues = tasks.known(where.queues) if where.queues is not None else list(tasks.queues.values())
        if sum(waiting * queue.pending + started * len(queue.running) for queue in queues) <= most:
            found = [record for queue in queues if waiting for record in queue.waiting()]
            found += [record for queue in queues if started for record in queue.running.values()]
    return None if found is None else sorted(found, key=_seq)


def _between(records: list[TaskRecord] | None, after: int | None, *, desc: bool) -> Iterator[TaskRecord] | None:
    if records is None:
        return None
    if desc:
        stop = len(records) if after is None else bisect_left(records, after, key=_seq)
        return islice(reversed(records), len(records) - stop, None)
    return islice(records, 0 if after is None else bisect_right(records, after, key=_seq), None)


def _scan(tasks: TaskTable, after: int | None, *, desc: bool) -> Iterator[TaskRecord]:
    """Yield every record past `after`."""
    order, records = tasks.order, tasks.records
    if desc:
        places: Iterable[int] = range(
            (len(order) if after is None else bisect_left(order, after, key=_seq)) - 1, -1, -1
        )
    else:
        places = range(0 if after is None else bisect_right(order, after, key=_seq), len(order))
    for place in places:
        record = order[place]
        if records.get(record.id) is record:
            yield record


def _matcher(where: TaskFilter, now: int) -> Callable[[TaskRecord], bool]:
    """Return a function that tells what `where.matches` tells, without hashing enum members for every record."""
    if where.states is None:
        return lambda record: where.matches(record, now)
    states = tuple(state for state in TaskStatus if state in where.states)
    views = len(states) < len(where.states)
    rest = attrs.evolve(where, states=None)
    anything = rest == type(where)()

    def means(record: TaskRecord) -> bool:
        if record.state not in states and not (views and record.view(now) in where.states):  # type: ignore[operator]
            return False
        return anything or rest.matches(record, now)

    return means


def _seq(record: TaskRecord) -> int:
    return record.seq
