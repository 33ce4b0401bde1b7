"""Counts of tasks: statistics of queues, and what can be told from them without going through tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.record import QueueStats, TaskFilter
from omniq.models.status import TaskStatus, TaskView

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["count_in", "stats_from"]


def stats_from(rows: Sequence[Any]) -> list[QueueStats]:
    """Make statistics, by name in code point order."""
    return [
        QueueStats(
            name=name.decode(),
            paused=bool(paused),
            scheduled=scheduled,
            ready=ready,
            expired=expired,
            running=running,
            stale=stale,
            completed=completed,
            failed=failed,
            cancelled=cancelled,
            oldest_ready_at=None if oldest is False else oldest,
        )
        for name, paused, scheduled, ready, expired, running, stale, completed, failed, cancelled, oldest in sorted(
            rows
        )
    ]


def count_in(wanted: TaskFilter | None, stats: Sequence[QueueStats]) -> int | None:
    """Return how many tasks a filter means, if it is only about states and queues; else None."""
    if wanted is None:
        wanted = TaskFilter()
    if attrs.evolve(wanted, states=None, queues=None) != TaskFilter():
        return None
    states = frozenset(TaskStatus) if wanted.states is None else wanted.states
    return sum(_count(states, queue) for queue in stats if wanted.queues is None or queue.name in wanted.queues)


def _count(states: frozenset[TaskStatus | TaskView], queue: QueueStats) -> int:
    numbers: dict[TaskStatus | TaskView, int] = {
        TaskStatus.PENDING: queue.scheduled + queue.ready + queue.expired,
        TaskStatus.RUNNING: queue.running,
        TaskStatus.COMPLETED: queue.completed,
        TaskStatus.FAILED: queue.failed,
        TaskStatus.CANCELLED: queue.cancelled,
        TaskView.SCHEDULED: queue.scheduled,
        TaskView.READY: queue.ready,
        TaskView.EXPIRED: queue.expired,
        TaskView.STALE: queue.stale,
    }
    views = {TaskView.SCHEDULED, TaskView.READY, TaskView.EXPIRED} if TaskStatus.PENDING in states else set()
    views |= {TaskView.STALE} if TaskStatus.RUNNING in states else set()
    return sum(numbers[state] for state in states - views)
