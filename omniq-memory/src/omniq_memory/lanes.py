"""Ordered indexes of tasks whose entries are checked when they are looked at, not when the task changes."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, TypeAlias

from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omniq.models.record import TaskRecord

__all__ = ["Deadlines", "Entry", "Lane"]

Entry: TypeAlias = "tuple[int, int, TaskRecord]"
"""(time, seq, task). Two entries with equal time and seq hold the same task, so the task itself is never compared."""

_PENDING, _RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING
_ROOM = 1024


class Lane:
    """The PENDING tasks of one queue and one priority, by (ready_at, seq).

    Most tasks become ready in the order in which they come: those stand in a line, and only the others (delayed ones,
    retries) in a heap. An entry is void once its task is not PENDING any more or is ready at another time. A task may
    have two entries; taking it voids both.

    Attributes:
        priority: Of these tasks.
        line: Tasks in order. Whoever adds one knows that it belongs to the end.
        line_at: The `ready_at` that each had when it was added; apart, because that is cheaper than pairs.
    """

    __slots__ = ("_heap", "_void", "line", "line_at", "priority")

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.line: deque[TaskRecord] = deque()
        self.line_at: deque[int] = deque()
        self._heap: list[Entry] = []
        self._void = 0

    def push(self, task: TaskRecord, now: int) -> None:
        """Add a task that became PENDING."""
        at, seq, last = task.ready_at, task.seq, self.line_at
        if at <= now and (not last or last[-1] < at or (last[-1] == at and self.line[-1].seq < seq)):
            self.line.append(task)
            last.append(at)
        else:
            heappush(self._heap, (at, seq, task))

    def head(self) -> tuple[int, int] | None:
        """Return (ready_at, seq) of the first task, ready or not."""
        line, line_at, heap = self.line, self.line_at, self._heap
        while line and (line[0].state is not _PENDING or line[0].ready_at != line_at[0]):
            line.popleft()
            line_at.popleft()
        while heap and _is_void(heap[0]):
            heappop(heap)
        if not line:
            return heap[0][:2] if heap else None
        first = line_at[0], line[0].seq
        return min(first, heap[0][:2]) if heap else first

    def take(self, limit: int, now: int, taken: list[TaskRecord]) -> None:
        """Move ready tasks to the end of `taken`, in order, until it holds `limit`.

        Their state is set to RUNNING at once, which voids their other entries; the caller makes the rest of the change.
        """
        line, line_at, heap = self.line, self.line_at, self._heap
        room = limit - len(taken)
        while room > 0:
            if heap and not (line and (line_at[0], line[0].seq) < heap[0][:2]):
                at, _, task = heap[0]
                if at > now:
                    return
                heappop(heap)
            elif line and line_at[0] <= now:
                at, task = line_at.popleft(), line.popleft()
            else:
                return
            if task.state is _PENDING and task.ready_at == at:
                task.state = _RUNNING
                taken.append(task)
                room -= 1

    def note_void(self) -> None:
        """Count an entry that became void without being taken; half of them void, they are all cleared away."""
        self._void += 1
        if self._void > _ROOM and self._void * 2 > len(self.line) + len(self._heap):
            valid = [
                (at, task)
                for at, task in zip(self.line_at, self.line, strict=True)
                if task.state is _PENDING and task.ready_at == at
            ]
            self.line_at, self.line = deque(at for at, _ in valid), deque(task for _, task in valid)
            self._heap = [entry for entry in self._heap if not _is_void(entry)]
            heapify(self._heap)
            self._void = 0

    def __iter__(self) -> Iterator[TaskRecord]:
        """Yield the PENDING tasks in no order; one may come twice."""
        for at, task in zip(self.line_at, self.line, strict=True):
            if task.state is _PENDING and task.ready_at == at:
                yield task
        for entry in self._heap:
            if not _is_void(entry):
                yield entry[2]


class Deadlines:
    """Tasks by (time, seq), for times that have to be met once: expiry, and the end of retention.

    Args:
        time_of: Returns the task's time, or None if it has none now. An entry with another time is void.
    """

    __slots__ = ("_heap", "_room", "_time_of")

    def __init__(self, time_of: Callable[[TaskRecord], int | None]) -> None:
        self._heap: list[Entry] = []
        self._room = _ROOM
        self._time_of = time_of

    def push(self, at: int, task: TaskRecord) -> None:
        """Add a task; doing so twice is harmless."""
        heappush(self._heap, (at, task.seq, task))
        if len(self._heap) > self._room:
            self._heap = [entry for entry in self._heap if self._time_of(entry[2]) == entry[0]]
            heapify(self._heap)
            self._room = max(_ROOM, 2 * len(self._heap))

    def head(self) -> Entry | None:
        """Return the first valid entry."""
        heap = self._heap
        while heap and self._time_of(heap[0][2]) != heap[0][0]:
            heappop(heap)
        return heap[0] if heap else None

    def may_have(self, now: int) -> bool:
        """Tell whether an entry, valid or not, is due."""
        return bool(self._heap) and self._heap[0][0] <= now

    def pop(self) -> None:
        """Remove the entry that `head` returned."""
        heappop(self._heap)


def _is_void(entry: Entry) -> bool:
    task = entry[2]
    return task.state is not _PENDING or task.ready_at != entry[0]
