"""What a process knows of the log: the tasks, found by what claims, sweeps and waits ask for.

It is filled by a `Feed` and by the process's own acknowledged writes, whichever comes first; both have the number of
the message, and the largest one counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque
from typing import TYPE_CHECKING, Any

from omniq_nats.codec import (
    ENQUEUED_AT,
    EXPIRES_AT,
    LEASE_UNTIL,
    PENDING,
    PRIORITY,
    QUEUE,
    READY_AT,
    RUNNING,
    SEQ,
    STATE,
    Slot,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from omniq_nats.jetstream import Message

__all__ = ["View"]

_ENTRIES, _FEW = 4, 250
"""So many entries are kept for each task, and so many tasks are counted in addition, before old entries are dropped."""

Entry = tuple[int, int, int, Slot]
"""A time, the task's seq and its message's number, and the slot; not valid any more once the task has a later one."""


class View:
    """The tasks of a namespace.

    Attributes:
        slots: By id.
        paused: The names of the queues that are paused.
        unfinished: The ids of tasks of which a step is under way that others have to complete.
        owing: The ids of tasks with outbox entries.
        firing: The messages of schedules whose last fire is not complete, by their subjects.
        damaged: The numbers of messages that could not be decoded.
    """

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.paused: set[str] = set()
        self.unfinished: set[str] = set()
        self.owing: set[str] = set()
        self.firing: dict[str, Message] = {}
        self.damaged: set[int] = set()
        self.latest = 0
        self._ready: dict[str, list[list[Entry]]] = {}
        self._leases: dict[str, list[Entry]] = {}
        self._expiring: dict[str, list[Entry]] = {}
        self._entries = 0
        self._gone: deque[Slot] = deque()
        self._waits: set[asyncio.Event] = set()
        self._waits_for: dict[str, set[asyncio.Event]] = {}

    # Filling

    def apply(self, slot: Slot) -> None:
        """Take a task's message, unless a later one is known."""
        known = self.slots.get(slot.id)
        if known is not None and known.rev >= slot.rev:
            return
        self.slots[slot.id] = slot
        (self.unfinished.add if slot.is_unfinished else self.unfinished.discard)(slot.id)
        (self.owing.add if slot.outbox else self.owing.discard)(slot.id)
        if slot.row is None:
            self._gone.append(slot)
        else:
            self.latest = max(self.latest, _latest(slot))
            if slot.stage is None:
                self.index(slot)
                if self._entries > _ENTRIES * (len(self.slots) + _FEW):
                    self._index_again()
        for event in (*self._waits, *self._waits_for.get(slot.id, ())):
            event.set()

    def index(self, slot: Slot) -> None:
        """Enter a live task where it is looked for."""
        row = slot.head
        state, queue = row[STATE], row[QUEUE]
        if state == PENDING:
            ranks = self._ready.get(queue)
            if ranks is None:
                ranks = self._ready[queue] = [[] for _ in range(10)]
            heapq.heappush(ranks[9 - row[PRIORITY]], (row[READY_AT], row[SEQ], slot.rev, slot))
            self._entries += 1
            if row[EXPIRES_AT] is not None:
                heapq.heappush(self._expiring.setdefault(queue, []), (row[EXPIRES_AT], row[SEQ], slot.rev, slot))
                self._entries += 1
        elif state == RUNNING:
            heapq.heappush(self._leases.setdefault(queue, []), (row[LEASE_UNTIL], row[SEQ], slot.rev, slot))
            self._entries += 1

    def _index_again(self) -> None:
        """Drop the entries that are not valid any more: who never claims does not come upon them."""
        self._ready, self._leases, self._expiring, self._entries = {}, {}, {}, 0
        for slot in self.slots.values():
            if slot.row is not None and slot.stage is None:
                self.index(slot)

    def pause(self, queue: str, *, paused: bool) -> None:
        """Take the message that tells whether a queue is paused."""
        (self.paused.add if paused else self.paused.discard)(queue)
        self.wake()

    def passed(self, rev: int) -> None:
        """Forget the tasks that are gone by what the feed has given now; nothing older can come any more."""
        while self._gone and self._gone[0].rev <= rev:
            slot = self._gone.popleft()
            if self.slots.get(slot.id) is slot:
                del self.slots[slot.id]

    def keep(self, ids: Collection[str], rev: int) -> None:
        """Forget the tasks that were known before a message, except for some."""
        for slot in [slot for slot in self.slots.values() if slot.rev <= rev and slot.id not in ids]:
            del self.slots[slot.id]
            self.unfinished.discard(slot.id)
            self.owing.discard(slot.id)
        self.wake()

    # Looking

    def ready(self, queues: Iterable[str], now: int, limit: int) -> list[Slot]:
        """Take out the best tasks that may be claimed; those that are not claimed in the end are to be put back."""
        heaps = [self._ready[name] for name in dict.fromkeys(queues) if name in self._ready and name not in self.paused]
        found: list[Slot] = []
        for rank in range(10):
            waiting = [ranks[rank] for ranks in heaps if ranks[rank]]
            while waiting and len(found) < limit:
                if len(waiting) > 1:
                    waiting = [heap for heap in waiting if self._top(heap) is not None]
                    if not waiting:
                        break
                    heap = min(waiting, key=lambda each: each[0][:2])
                    entry: Entry | None = heap[0]
                else:
                    heap = waiting[0]
                    entry = self._top(heap)
                if entry is None or entry[0] > now:
                    break
                heapq.heappop(heap)
                self._entries -= 1
                expires_at = entry[3].row[EXPIRES_AT]  # type: ignore[index] # it is PENDING
                if expires_at is None or expires_at > now:  # else a sweep that stopped left it
                    found.append(entry[3])
        return found

    def put_back(self, slots: Iterable[Slot]) -> None:
        """Enter tasks again that `ready` took out, if nothing else became of them."""
        for slot in slots:
            if self.slots.get(slot.id) is slot and slot.row is not None and slot.row[STATE] == PENDING:
                self.index(slot)

    def stale(self, queues: Iterable[str], now: int, limit: int) -> list[Slot]:
        """Return the tasks whose leases ended, by (lease_until, seq)."""
        return self._until(self._leases, queues, now, limit)

    def expired(self, queues: Iterable[str], now: int, limit: int) -> list[Slot]:
        """Return the waiting tasks that expired, by (expires_at, seq)."""
        return self._until(self._expiring, queues, now, limit)

    def next_at(self, queues: Iterable[str]) -> int | None:
        """Return when work may come up."""
        times = []
        for name in dict.fromkeys(queues):
            heaps = [self._leases.get(name, [])]
            if name not in self.paused:
                heaps += self._ready.get(name, [])
            times += [entry[0] for heap in heaps if (entry := self._top(heap)) is not None]
        return min(times, default=None)

    def by_seq(self) -> list[Slot]:
        """Return the tasks that can be seen, by seq."""
        found = [slot for slot in self.slots.values() if slot.row is not None and slot.is_visible]
        found.sort(key=_seq)
        return found

    def _until(self, heaps: dict[str, list[Entry]], queues: Iterable[str], now: int, limit: int) -> list[Slot]:
        taken: list[tuple[list[Entry], Entry]] = []
        wanted = [heaps[name] for name in dict.fromkeys(queues) if name in heaps]
        while len(taken) < limit:
            due = [heap for heap in wanted if (top := self._top(heap)) is not None and top[0] <= now]
            if not due:
                break
            heap = min(due, key=lambda each: each[0][:2])
            taken.append((heap, heapq.heappop(heap)))
        for heap, entry in taken:
            heapq.heappush(heap, entry)
        return [entry[3] for _, entry in taken]

    def _top(self, heap: list[Entry]) -> Entry | None:
        """Return the first entry that is valid, and drop those before it."""
        slots = self.slots
        while heap:
            entry = heap[0]
            slot = entry[3]
            if slots.get(slot.id) is slot:
                return entry
            heapq.heappop(heap)
            self._entries -= 1
        return None

    # Waiting

    def wake(self) -> None:
        """Wake whoever waits."""
        for event in self._waits:
            event.set()
        for events in self._waits_for.values():
            for event in events:
                event.set()

    @contextlib.contextmanager
    def waiting(self, ids: Sequence[str] | None = None) -> Iterator[asyncio.Event]:
        """Give an event that is set when something changes, or when one of some tasks does."""
        event = asyncio.Event()
        if ids is None:
            self._waits.add(event)
        else:
            for task_id in ids:
                self._waits_for.setdefault(task_id, set()).add(event)
        try:
            yield event
        finally:
            self._waits.discard(event)
            for task_id in ids or ():
                events = self._waits_for.get(task_id)
                if events is not None:
                    events.discard(event)
                    if not events:
                        self._waits_for.pop(task_id, None)


def _seq(slot: Slot) -> Any:
    return slot.head[SEQ]


def _latest(slot: Slot) -> int:
    """Return the latest time that a message shows."""
    at: int = slot.entry[4] if slot.entry is not None else slot.head[ENQUEUED_AT]
    return max(at, slot.outbox[-1][1][4]) if slot.outbox else at
