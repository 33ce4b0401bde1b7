"""The indexes of one queue: heaps whose entries are checked when they are looked at, not when a task changes."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from omniq.models.record import TaskRecord

__all__ = ["NEVER", "QueueIndex"]

NEVER = 1 << 62
"""Later than any time."""

_PENDING, _RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING
_ROOM = 256

Heap = list[tuple[int, int]]


class QueueIndex:
    """What is known of the tasks of one queue.

    Attributes:
        name: Of the queue.
        pending: PENDING tasks by seq.
        running: RUNNING tasks by seq.
        ended: How many are in each terminal state.
    """

    __slots__ = ("_expiring", "_lanes", "_leases", "ended", "name", "pending", "ranks", "running")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pending: dict[int, TaskRecord] = {}
        self.running: dict[int, TaskRecord] = {}
        self.ended = dict.fromkeys((TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED), 0)
        self.ranks: list[int] = []
        self._lanes: dict[int, Heap] = {}
        self._leases: Heap = []
        self._expiring: Heap = []

    @property
    def total(self) -> int:
        """How many tasks the queue has."""
        return len(self.pending) + len(self.running) + sum(self.ended.values())

    def enter(self, task: TaskRecord) -> None:
        """Add a task in the state that it has now."""
        seq = task.seq
        if task.state is _PENDING:
            self.pending[seq] = task
            lane = self._lanes.get(task.priority)
            if lane is None:
                lane = self._lanes[task.priority] = []
                self.ranks = sorted(self._lanes, reverse=True)
            heappush(lane, (task.ready_at, seq))
            if len(lane) > _ROOM + 2 * len(self.pending):
                lane[:] = [entry for entry in lane if self._waits(entry, task.priority)]
                heapify(lane)
            if task.expires_at is not None:
                heappush(self._expiring, (task.expires_at, seq))
        elif task.state is _RUNNING:
            self.running[seq] = task
            self.lease(task)
        else:
            self.ended[task.state] += 1

    def leave(self, task: TaskRecord) -> None:
        """Remove a task from the state that it still has."""
        if task.state is _PENDING:
            del self.pending[task.seq]
        elif task.state is _RUNNING:
            del self.running[task.seq]
        else:
            self.ended[task.state] -= 1

    def lease(self, task: TaskRecord) -> None:
        """Note the end of a running task's lease."""
        leases = self._leases
        heappush(leases, (task.lease_until or 0, task.seq))
        if len(leases) > _ROOM + 4 * len(self.running):
            leases[:] = [(each.lease_until or 0, each.seq) for each in self.running.values()]
            heapify(leases)

    def first(self, rank: int) -> tuple[int, int] | None:
        """Return (ready_at, seq) of the first task of a priority, ready or not."""
        lane, pending = self._lanes.get(rank), self.pending
        while lane:
            task = pending.get(lane[0][1])
            if task is not None and task.ready_at == lane[0][0]:
                return lane[0]
            heappop(lane)
        return None

    def first_lease(self) -> tuple[int, int] | None:
        """Return (lease_until, seq) of the running task whose lease ends first."""
        leases = self._leases
        while leases:
            task = self.running.get(leases[0][1])
            if task is not None and task.lease_until == leases[0][0]:
                return leases[0]
            heappop(leases)
        return None

    def first_expiry(self) -> tuple[int, int] | None:
        """Return (expires_at, seq) of the waiting task that expires first."""
        expiring = self._expiring
        while expiring:
            task = self.pending.get(expiring[0][1])
            if task is not None and task.expires_at == expiring[0][0]:
                return expiring[0]
            heappop(expiring)
        return None

    def next_at(self, *, paused: bool) -> int:
        """Return when a claim may find something here."""
        heads = [] if paused else [head[0] for rank in self.ranks if (head := self.first(rank)) is not None]
        lease = self.first_lease()
        if lease is not None:
            heads.append(lease[0])
        return min(heads, default=NEVER)

    def _waits(self, entry: tuple[int, int], rank: int) -> bool:
        task = self.pending.get(entry[1])
        return task is not None and task.ready_at == entry[0] and task.priority == rank
