"""What operators ask: lists, counts, statistics, and what is owed, out of the view."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from omniq.models.record import QueueStats, TaskBody
from omniq.models.status import TERMINAL, TaskStatus, TaskView
from omniq_nats.codec import (
    FINISHED_AT,
    PINNED,
    PRIORITY,
    QUEUE,
    READY_AT,
    SEQ,
    STATE,
    STATES,
    event_from,
    func_of,
    record_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omniq.models.event import Event
    from omniq.models.record import TaskFilter
    from omniq_nats.codec import Slot
    from omniq_nats.view import View

__all__ = ["claim_order", "count", "ended", "outbox", "select", "statistics"]


def claim_order(slot: Slot) -> Any:
    """Return what tasks are claimed by."""
    row = slot.head
    return -row[PRIORITY], row[READY_AT], row[SEQ]


def select(view: View, where: TaskFilter | None, now: int, *, after: int | None, limit: int, desc: bool) -> list[Slot]:
    """Return a page of tasks by seq."""
    slots: Iterable[Slot] = view.by_seq()
    if desc:
        slots = (slot for slot in reversed(view.by_seq()) if after is None or _seq(slot) < after)
    elif after is not None:
        slots = (slot for slot in slots if _seq(slot) > after)
    return list(islice(_matching(slots, where, now), max(limit, 0)))


def count(view: View, where: TaskFilter | None, now: int) -> int:
    """Return how many tasks are meant."""
    return sum(1 for _ in _matching(view.slots.values(), where, now))


def _matching(slots: Iterable[Slot], where: TaskFilter | None, now: int) -> Iterator[Slot]:
    for slot in slots:
        row = slot.row
        if row is None or not slot.is_visible:
            continue
        if where is None or where.matches(record_of(row, TaskBody(func=func_of(row))), now):
            yield slot


def _seq(slot: Slot) -> int:
    seq: int = slot.head[SEQ]
    return seq


def ended(view: View, states: frozenset[TaskStatus], before: int, pinned_before: int, limit: int) -> list[Slot]:
    """Return the ended tasks that owe nothing and ended before a time, oldest first."""
    codes = {STATES.index(state) for state in states}
    found = [
        (row[FINISHED_AT], row[SEQ], slot)
        for slot in view.slots.values()
        if (row := slot.row) is not None
        and row[STATE] in codes
        and row[FINISHED_AT] < (pinned_before if row[PINNED] else before)
        and not slot.outbox
        and slot.stage is None
        and slot.following is None
    ]
    found.sort(key=lambda each: each[:2])
    return [slot for _, _, slot in found[: max(limit, 0)]]


def outbox(view: View, limit: int, latest: int) -> list[Event]:
    """Return what is owed to other roles and old enough, in the order of writing."""
    entries: list[tuple[int, int, Sequence[Any]]] = []
    for task_id in view.owing:
        slot = view.slots[task_id]
        entries += [(place or slot.rev, number, values) for number, (place, values) in enumerate(slot.outbox)]
    entries.sort(key=lambda entry: entry[:2])
    found: list[Event] = []
    held: set[int] = set()
    for place, _, values in entries:
        if len(found) >= limit:
            break
        event = event_from(values, place)
        if event.at > latest:
            held.add(event.seq)
        elif event.seq not in held:
            found.append(event)
    return found


def statistics(view: View, now: int) -> list[QueueStats]:
    """Return every queue that has a task or is paused."""
    views: defaultdict[str, defaultdict[TaskStatus | TaskView, int]] = defaultdict(lambda: defaultdict(int))
    oldest: dict[str, int] = {}
    for slot in view.slots.values():
        row = slot.row
        if row is None or not slot.is_visible:
            continue
        queue = row[QUEUE]
        state = STATES[row[STATE]]
        seen = state if state in TERMINAL else record_of(row, TaskBody(func="")).view(now)
        views[queue][seen] += 1
        if seen is TaskView.READY:
            oldest[queue] = min(row[READY_AT], oldest.get(queue, row[READY_AT]))
    return [
        QueueStats(
            name=name,
            paused=name in view.paused,
            scheduled=views[name][TaskView.SCHEDULED],
            ready=views[name][TaskView.READY],
            expired=views[name][TaskView.EXPIRED],
            running=views[name][TaskStatus.RUNNING] + views[name][TaskView.STALE],
            stale=views[name][TaskView.STALE],
            completed=views[name][TaskStatus.COMPLETED],
            failed=views[name][TaskStatus.FAILED],
            cancelled=views[name][TaskStatus.CANCELLED],
            oldest_ready_at=oldest.get(name),
        )
        for name in sorted(views.keys() | view.paused)
    ]
