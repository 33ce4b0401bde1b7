"""Questions to a view."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING

from omniq.models.record import Grant, QueueStats
from omniq.models.status import TERMINAL, TaskStatus, TaskView
from omniq.storage.transitions import is_expired
from omniq_file.machine.queue_index import NEVER
from omniq_file.machine.stored import copy_task, event_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import TaskFilter, TaskRecord
    from omniq_file.machine.view import View

__all__ = [
    "count_tasks",
    "find_tasks",
    "finished",
    "held",
    "list_tasks",
    "next_at",
    "next_expiry",
    "queue_stats",
    "read_outbox",
]

_PENDING, _RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING
_WAITING = frozenset({_PENDING, TaskView.SCHEDULED, TaskView.READY, TaskView.EXPIRED})
_STARTED = frozenset({_RUNNING, TaskView.STALE})


def find_tasks(view: View, ids: Sequence[str]) -> list[TaskRecord | None]:
    """Return each task, None for an unknown id."""
    tasks = [view.tasks.get(task_id) for task_id in ids]
    return [None if task is None else copy_task(task) for task in tasks]


def list_tasks(
    view: View, where: TaskFilter | None, after: int | None, limit: int, now: int, *, desc: bool
) -> list[TaskRecord]:
    """Return tasks by seq."""
    few = None if where is None else _few(view, where)
    seqs = view.order if few is None else sorted(task.seq for task in few)
    start = 0 if after is None or desc else bisect_right(seqs, after)
    stop = bisect_left(seqs, after) if after is not None and desc else len(seqs)
    places: Iterable[int] = range(stop - 1, -1, -1) if desc else range(start, stop)
    found = (task for place in places if (task := view.by_seq.get(seqs[place])) is not None)
    meant = found if where is None else (task for task in found if where.matches(task, now))
    return [copy_task(task) for task in islice(meant, max(limit, 0))]


def count_tasks(view: View, where: TaskFilter | None, now: int) -> int:
    """Return how many tasks are meant."""
    if where is None:
        return len(view.tasks)
    if where.states is not None and where == type(where)(states=where.states, queues=where.queues):
        states = [state for state in TaskStatus if state in where.states]
        if len(states) == len(where.states):
            queues = [index for name, index in view.queues.items() if where.queues is None or name in where.queues]
            sizes = ({_PENDING: len(index.pending), _RUNNING: len(index.running), **index.ended} for index in queues)
            return sum(size[state] for size in sizes for state in states)
    few = _few(view, where)
    return sum(1 for task in (view.tasks.values() if few is None else few) if where.matches(task, now))


def held(view: View, worker: str, nonce: str) -> list[Grant]:
    """Return what is still running under a claim, in claim order."""
    running = (task for index in view.queues.values() for task in index.running.values())
    mine = [task for task in running if task.worker == worker and task.nonce == nonce]
    return [Grant.of(task) for task in sorted(mine, key=lambda task: (-task.priority, task.ready_at, task.seq))]


def queue_stats(view: View, now: int) -> list[QueueStats]:
    """Return the numbers of every queue that has a task or is paused."""
    return [_stats(view, name, now) for name in sorted(view.queues.keys() | view.paused)]


def next_at(view: View, names: Iterable[str]) -> int:
    """Return when work may come up, NEVER if there is none."""
    queues = [view.queues[name] for name in dict.fromkeys(names) if name in view.queues]
    return min((queue.next_at(paused=queue.name in view.paused) for queue in queues), default=NEVER)


def finished(view: View, ids: Sequence[str], now: int) -> Mapping[str, TaskStatus | None]:
    """Return those of the tasks that ended, are expired or unknown."""
    found: dict[str, TaskStatus | None] = {}
    for task_id in ids:
        task = view.tasks.get(task_id)
        if task is None:
            found[task_id] = None
        elif task.state in TERMINAL:
            found[task_id] = task.state
        elif is_expired(task, now):
            found[task_id] = TaskStatus.FAILED
    return found


def next_expiry(view: View, ids: Sequence[str], now: int) -> int:
    """Return when the next of the tasks may expire, NEVER if none can."""
    tasks = (view.tasks.get(task_id) for task_id in ids)
    times = (task.expires_at for task in tasks if task is not None and task.expires_at is not None)
    return min((at for at in times if at > now), default=NEVER)


def read_outbox(view: View, limit: int, latest: int) -> list[Event]:
    """Return entries of up to a time, in order, and none of which an earlier one of its task is left out."""
    found: list[Event] = []
    left_out: set[int] = set()
    for row in view.outbox.values():
        if len(found) >= limit:
            break
        if row[4] > latest:
            left_out.add(row[1])
        elif row[1] not in left_out:
            found.append(event_of(row))
    return found


def _few(view: View, where: TaskFilter) -> Iterator[TaskRecord] | None:
    """Return a superset of what is meant, each task once, if an index has it."""
    if where.ids is not None:
        return (view.tasks[task_id] for task_id in where.ids if task_id in view.tasks)
    if where.states is not None and where.states <= _STARTED | _WAITING:
        queues = [index for name, index in view.queues.items() if where.queues is None or name in where.queues]
        waiting, started = bool(where.states & _WAITING), bool(where.states & _STARTED)
        tables = [index.pending for index in queues if waiting] + [index.running for index in queues if started]
        return (task for table in tables for task in table.values())
    return None


def _stats(view: View, name: str, now: int) -> QueueStats:
    index = view.queues.get(name)
    if index is None:
        return QueueStats(name=name, paused=True)
    views = [task.view(now) for task in index.pending.values()]
    ready = [task.ready_at for task in index.pending.values() if task.view(now) is TaskView.READY]
    return QueueStats(
        name=name,
        paused=name in view.paused,
        scheduled=views.count(TaskView.SCHEDULED),
        ready=len(ready),
        expired=views.count(TaskView.EXPIRED),
        running=len(index.running),
        stale=sum(1 for task in index.running.values() if task.view(now) is TaskView.STALE),
        completed=index.ended[TaskStatus.COMPLETED],
        failed=index.ended[TaskStatus.FAILED],
        cancelled=index.ended[TaskStatus.CANCELLED],
        oldest_ready_at=min(ready, default=None),
    )
