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

    Most tasks become ready in the order in which they come: those stand in a plain line, and only the others (delayed
    ones, retries) in a heap. An entry is void once its task is not PENDING any more or is ready at another time.
    A task may have two entries; taking it voids both.
    """

    __slots__ = ("_heap", "_line", "_void")

    def __init__(self) -> None:
        self._line: deque[Entry] = deque()
        self._heap: list[Entry] = []
        self._void = 0

    def push(self, at: int, seq: int, record: TaskRecord, now: int) -> None:
        """Add a task that became PENDING."""
        entry = (at, seq, record)
        line = self._line
        if at <= now and (not line or line[-1] < entry):
            line.append(entry)
        else:
            heappush(self._heap, entry)

    def head(self) -> Entry | None:
        """Return the first valid entry, ready or not."""
        line, heap = self._line, self._heap
        while line and _is_void(line[0]):
            line.popleft()
        while heap and _is_void(heap[0]):
            heappop(heap)
        if line and heap:
            return min(line[0], heap[0])
        return line[0] if line else heap[0] if heap else None

    def take(self, limit: int, now: int, taken: list[TaskRecord]) -> None:
        """Move ready tasks to the end of `taken`, in order, until it holds `limit`.

        Their state is set to RUNNING at once, which voids their other entries; the caller makes the rest of the change.
        """
        line, heap = self._line, self._heap
        while len(taken) < limit:
            if heap and not (line and line[0] < heap[0]):
                at, _, record = heap[0]
                if record.state is not _PENDING or record.ready_at != at:
                    heappop(heap)
                    continue
                if at > now:
                    return
                heappop(heap)
            elif line:
                at, _, record = line[0]
                if record.state is not _PENDING or record.ready_at != at:
                    line.popleft()
                    continue
                if at > now:
                    return
                line.popleft()
            else:
                return
            record.state = _RUNNING
            taken.append(record)

    def note_void(self) -> None:
        """Count an entry that became void without being taken; half of them void, they are all cleared away."""
        self._void += 1
        if self._void > _ROOM and self._void * 2 > len(self._line) + len(self._heap):
            self._line = deque(entry for entry in self._line if not _is_void(entry))
            self._heap = [entry for entry in self._heap if not _is_void(entry)]
            heapify(self._heap)
            self._void = 0

    def __iter__(self) -> Iterator[TaskRecord]:
        """Yield the PENDING tasks in no order; one may come twice."""
        for entries in (self._line, self._heap):
            for entry in entries:
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

    def push(self, at: int, record: TaskRecord) -> None:
        """Add a task; doing so twice is harmless."""
        heappush(self._heap, (at, record.seq, record))
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
    record = entry[2]
    return record.state is not _PENDING or record.ready_at != entry[0]
