"""Which ended tasks may be removed, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.status import TERMINAL
from omniq_memory.lanes import Deadlines

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniq.models.record import TaskRecord
    from omniq.models.status import TaskStatus

__all__ = ["Retention"]


class Retention:
    """The ended tasks by (finished_at, seq), apart by state and by whether they are pinned.

    Attributes:
        fresh: Tasks that ended since they were last sorted in; whoever ends a task appends it here.
    """

    __slots__ = ("_ended", "fresh")

    def __init__(self) -> None:
        self.fresh: list[TaskRecord] = []
        self._ended: dict[tuple[TaskStatus, bool], Deadlines] = {
            (state, pinned): Deadlines(_time_of(state)) for state in TERMINAL for pinned in (False, True)
        }

    def take(
        self,
        states: frozenset[TaskStatus],
        before: int,
        pinned_before: int,
        limit: int,
        may_go: Callable[[TaskRecord], bool],
    ) -> list[TaskRecord]:
        """Return tasks that ended before, oldest first, and let go of them: the caller removes them.

        Their `finished_at` is cleared, which voids the other entries of a task that ended twice at one time.

        Args:
            states: Of these states.
            before: Those that are not pinned ended before this.
            pinned_before: Those that are pinned ended before this.
            limit: At most so many.
            may_go: Whether a task may be removed now; others stay.
        """
        self._sort_in()
        asked = [
            (ended, pinned_before if pinned else before)
            for (state, pinned), ended in self._ended.items()
            if state in states
        ]
        taken: list[TaskRecord] = []
        kept: list[TaskRecord] = []
        while len(taken) < limit:
            heads = [(head, ended) for ended, bound in asked if (head := ended.head()) is not None and head[0] < bound]
            if not heads:
                break
            (_, _, task), ended = min(heads, key=lambda pair: pair[0][:2])
            ended.pop()
            if may_go(task):
                task.finished_at = None
                taken.append(task)
            else:
                kept.append(task)
        self.fresh.extend(kept)
        return taken

    def _sort_in(self) -> None:
        for task in self.fresh:
            if task.finished_at is not None:
                self._ended[task.state, task.pinned].push(task.finished_at, task)
        self.fresh.clear()


def _time_of(state: TaskStatus) -> Callable[[TaskRecord], int | None]:
    return lambda task: task.finished_at if task.state is state else None
