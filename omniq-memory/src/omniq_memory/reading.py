"""Listing, counting and statistics of tasks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING

import attrs

from omniq.models.record import QueueStats
from omniq.models.status import TaskStatus, TaskView
from omniq_memory.records import copy_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from omniq.models.record import TaskFilter, TaskRecord
    from omniq_memory.queue_index import QueueIndex
    from omniq_memory.task_table import TaskTable

__all__ = ["count_tasks", "end_of", "list_tasks", "queue_stats"]

_PENDING, _RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING
_WAITING = frozenset({_PENDING, TaskView.SCHEDULED, TaskView.READY, TaskView.EXPIRED})
_STARTED = frozenset({_RUNNING, TaskView.STALE})


def list_tasks(
    tasks: TaskTable, where: TaskFilter | None, after: int | None, limit: int, now: int, *, desc: bool
) -> list[TaskRecord]:
    """Return the records of at most `limit` tasks by seq, from `after` on."""
    found = _between(_few(tasks, where, 10 * limit), after, desc=desc)
    if found is None:
        found = _scan(tasks, after, desc=desc)
    if where is not None:
        means = _matcher(where, now)
        found = (task for task in found if means(task))
    return [copy_record(task) for task in islice(found, max(limit, 0))]


def count_tasks(tasks: TaskTable, where: TaskFilter | None, now: int) -> int:
    """Return how many tasks the filter means."""
    if where is None:
        return len(tasks.records)
    if where.states is not None and where == type(where)(states=where.states, queues=where.queues):
        stored = [state for state in TaskStatus if state in where.states]
        if len(stored) == len(where.states):
            return sum(_in_state(queue, state) for queue in _queues(tasks, where) for state in stored)
    few = _few(tasks, where, len(tasks.records))
    means = _matcher(where, now)
    return sum(1 for task in (tasks.records.values() if few is None else few) if means(task))


def queue_stats(index: QueueIndex, now: int) -> QueueStats:
    """Return the numbers of one queue."""
    scheduled = ready = expired = 0
    oldest: int | None = None
    for task in index.waiting():
        if task.expires_at is not None and task.expires_at <= now:
            expired += 1
        elif task.ready_at > now:
            scheduled += 1
        else:
            ready += 1
            if oldest is None or task.ready_at < oldest:
                oldest = task.ready_at
    return QueueStats(
        name=index.name,
        paused=index.paused,
        scheduled=scheduled,
        ready=ready,
        expired=expired,
        running=len(index.running),
        stale=sum(1 for task in index.running.values() if task.view(now) is TaskView.STALE),
        completed=index.ended["COMPLETED"],
        failed=index.ended["FAILED"],
        cancelled=index.ended["CANCELLED"],
        oldest_ready_at=oldest,
    )


def end_of(task: TaskRecord | None, now: int) -> tuple[bool, TaskStatus | None]:
    """Tell whether a task is done, and as what: its terminal state, FAILED if it is expired, None if it is unknown."""
    if task is None:
        return True, None
    if task.state is _PENDING and task.expires_at is not None and task.expires_at <= now:
        return True, TaskStatus.FAILED
    return task.state is not _PENDING and task.state is not _RUNNING, task.state


def _queues(tasks: TaskTable, where: TaskFilter) -> list[QueueIndex]:
    return list(tasks.queues.values()) if where.queues is None else tasks.known(where.queues)


def _in_state(queue: QueueIndex, state: TaskStatus) -> int:
    if state is _PENDING:
        return queue.pending
    return len(queue.running) if state is _RUNNING else queue.ended[state.value]


def _few(tasks: TaskTable, where: TaskFilter | None, most: int) -> list[TaskRecord] | None:
    """Return a superset of what the filter means, by seq, if an index has one of at most `most` tasks."""
    if where is None:
        return None
    found: list[TaskRecord] | None = None
    if where.ids is not None and len(where.ids) <= most:
        found = [tasks.records[task_id] for task_id in where.ids if task_id in tasks.records]
    elif where.states is not None and where.states <= _STARTED | _WAITING:
        waiting, started = bool(where.states & _WAITING), bool(where.states & _STARTED)
        queues = _queues(tasks, where)
        if sum(waiting * queue.pending + started * len(queue.running) for queue in queues) <= most:
            found = [task for queue in queues if waiting for task in queue.waiting()]
            found += [task for queue in queues if started for task in queue.running.values()]
    return None if found is None else sorted(found, key=_seq)


def _between(tasks: list[TaskRecord] | None, after: int | None, *, desc: bool) -> Iterator[TaskRecord] | None:
    if tasks is None:
        return None
    if desc:
        stop = len(tasks) if after is None else bisect_left(tasks, after, key=_seq)
        return islice(reversed(tasks), len(tasks) - stop, None)
    return islice(tasks, 0 if after is None else bisect_right(tasks, after, key=_seq), None)


def _scan(tasks: TaskTable, after: int | None, *, desc: bool) -> Iterator[TaskRecord]:
    """Yield every task past `after`."""
    order, records = tasks.by_seq(), tasks.records
    if desc:
        places: Iterable[int] = range(
            (len(order) if after is None else bisect_left(order, after, key=_seq)) - 1, -1, -1
        )
    else:
        places = range(0 if after is None else bisect_right(order, after, key=_seq), len(order))
    for place in places:
        task = order[place]
        if records.get(task.id) is task:
            yield task


def _matcher(where: TaskFilter, now: int) -> Callable[[TaskRecord], bool]:
    """Return a function that tells what `where.matches` tells, without hashing enum members for every task."""
    if where.states is None:
        return lambda task: where.matches(task, now)
    states = tuple(state for state in TaskStatus if state in where.states)
    views = tuple(view for view in TaskView if view in where.states)
    rest = attrs.evolve(where, states=None)
    anything = rest == type(where)()

    def means(task: TaskRecord) -> bool:
        if task.state not in states and not (views and task.view(now) in views):
            return False
        return anything or rest.matches(task, now)

    return means


def _seq(task: TaskRecord) -> int:
    return task.seq
