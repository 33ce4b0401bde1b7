"""Which ended tasks may be removed, oldest first."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from omniq.models.status import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniq.models.record import TaskRecord
    from omniq.models.status import TaskStatus

__all__ = ["Retention"]

_Entry = tuple[int, int]


class Retention:
    """Ended tasks by (finished_at, seq), apart by state and by whether they are pinned.

    Entries are checked when they are looked at: of tasks that were removed or re-opened they are void.
    """

    __slots__ = ("_ended", "_fresh")

    def __init__(self) -> None:
        self._fresh: list[TaskRecord] = []
        self._ended: dict[tuple[TaskStatus, bool], list[_Entry]] = {
            (state, pinned): [] for state in TERMINAL for pinned in (False, True)
        }

    def add(self, task: TaskRecord) -> None:
        """Add a task that has ended."""
        self._fresh.append(task)

    def oldest(
        self,
        states: frozenset[TaskStatus],
        before: int,
        pinned_before: int,
        limit: int,
        by_seq: dict[int, TaskRecord],
        may_go: Callable[[TaskRecord], bool],
    ) -> list[TaskRecord]:
        """Return tasks that ended before, oldest first.

        Args:
            states: Of these states.
            before: Those that are not pinned ended before this.
            pinned_before: Those that are pinned ended before this.
            limit: At most so many.
            by_seq: All tasks.
            may_go: Whether a task may be removed now.
        """
        self._sort_in(by_seq)
        asked = [
            (heap, pinned_before if pinned else before, state)
            for (state, pinned), heap in self._ended.items()
            if state in states
        ]
        found: list[TaskRecord] = []
        looked_at: list[tuple[list[_Entry], _Entry]] = []
        while len(found) < limit:
            heads = [(heap[0], place) for place, (heap, bound, _) in enumerate(asked) if heap and heap[0][0] < bound]
            if not heads:
                break
            entry, place = min(heads)
            heap, _, state = asked[place]
            heappop(heap)
            task = by_seq.get(entry[1])
            if task is None or task.state is not state or task.finished_at != entry[0]:
                continue
            if not looked_at or looked_at[-1][1] != entry:  # two entries of one task follow each other
                looked_at.append((heap, entry))
                if may_go(task):
                    found.append(task)
        for heap, entry in looked_at:  # whoever removes them may fail to
            heappush(heap, entry)
        return found

    def _sort_in(self, by_seq: dict[int, TaskRecord]) -> None:
        for task in self._fresh:
            if task.state in TERMINAL and task.finished_at is not None:
                heappush(self._ended[task.state, task.pinned], (task.finished_at, task.seq))
        self._fresh.clear()
        if sum(map(len, self._ended.values())) > 1024 + 2 * len(by_seq):
            for (state, pinned), heap in self._ended.items():
                alive = (task for task in by_seq.values() if task.state is state and task.pinned is pinned)
                heap[:] = [(task.finished_at or 0, task.seq) for task in alive]
                heapify(heap)
