"""The indexes of one queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.status import TaskStatus
from omniq_memory.lanes import Deadlines, Lane

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omniq.models.record import TaskRecord

__all__ = ["NEVER", "QueueIndex", "take_ready"]

NEVER = 1 << 62
"""Later than any time."""


class QueueIndex:
    """What is known of one queue beside its records. Used under the lock of the state.

    Attributes:
        paused: Whether claims pass it over.
        lanes: PENDING tasks by priority.
        ranked: The same lanes, highest priority first.
        running: RUNNING tasks by seq.
        lease_floor: No lease of a running task ends before this.
        expiring: PENDING tasks by their `expires_at`, if they have one.
        total: How many records it has.
        ended: How many of them are in each terminal state, by its text.
    """

    __slots__ = ("ended", "expiring", "lanes", "lease_floor", "name", "paused", "ranked", "running", "total")

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.lanes: dict[int, Lane] = {}
        self.ranked: list[Lane] = []
        self.running: dict[int, TaskRecord] = {}
        self.lease_floor = NEVER
        self.expiring = Deadlines(_waits_until)
        self.total = 0
        self.ended = {"COMPLETED": 0, "FAILED": 0, "CANCELLED": 0}

    @property
    def pending(self) -> int:
        """How many of its tasks are PENDING."""
        return self.total - len(self.running) - sum(self.ended.values())

    def lane(self, priority: int) -> Lane:
        """Return the lane of a priority."""
        lane = self.lanes.get(priority)
        if lane is None:
            lane = self.lanes[priority] = Lane(priority)
            self.ranked = [self.lanes[each] for each in sorted(self.lanes, reverse=True)]
        return lane

    def waiting(self) -> Iterator[TaskRecord]:
        """Yield the PENDING tasks in no order, each once."""
        seen: set[int] = set()
        for lane in self.ranked:
            for record in lane:
                if record.seq not in seen:
                    seen.add(record.seq)
                    yield record

    def next_at(self) -> int:
        """Return when a claim may find something here: a task that becomes ready, or a lease that ends."""
        heads = [] if self.paused else [head[0] for lane in self.ranked if (head := lane.head()) is not None]
        leases = [record.lease_until for record in self.running.values() if record.lease_until is not None]
        return min(*heads, *leases, NEVER, NEVER)

    def has_overdue(self, now: int) -> bool:
        """Tell whether a task may be stale or expired."""
        return self.lease_floor <= now or self.expiring.may_have(now)


def take_ready(queues: Sequence[QueueIndex], limit: int, now: int) -> list[TaskRecord]:
    """Take the best ready tasks of the union of the queues; see `Lane.take`."""
    taken: list[TaskRecord] = []
    if len(queues) == 1:
        for lane in queues[0].ranked:
            lane.take(limit, now, taken)
        return taken
    for priority in sorted({each for queue in queues for each in queue.lanes}, reverse=True):
        lanes = [queue.lanes[priority] for queue in queues if priority in queue.lanes]
        while len(taken) < limit:
            heads = {head: lane for lane in lanes if (head := lane.head()) is not None and head[0] <= now}
            if not heads:
                break
            best = heads[min(heads)]
            best.take(limit if len(heads) == 1 else len(taken) + 1, now, taken)
    return taken


def _waits_until(record: TaskRecord) -> int | None:
    return record.expires_at if record.state is TaskStatus.PENDING else None
