"""The lifecycle log as a list of cheap tuples, made into events when they are read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, TypeAlias

from omniq.errors import ConfigError
from omniq.models.event import Event, EventType
from omniq.models.status import TaskStatus
from omniq_memory.waiting import Board

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.event import EventFilter

__all__ = ["Entry", "EventLog", "pack", "unpack"]

Entry: TypeAlias = (
    "tuple[str, int, int, str, int, str, str | None, int, int, int | None, str | None, str | None, int | None]"
)
"""The fields of an event in their order, without its position; type and state as plain text.

Plain text rather than enum members because the garbage collector stops tracking a tuple of nothing but atoms.
"""

_TYPES = {member.value: member for member in EventType}
_STATES: dict[str | None, TaskStatus | None] = {None: None, **{member.value: member for member in TaskStatus}}
_TYPE: Final = 3
_AT: Final = 4
_QUEUE: Final = 5


def pack(event: Event) -> Entry:
    """Return the event as the log keeps it."""
    return (
        event.task_id,
        event.seq,
        event.version,
        event.type.value,
        event.at,
        event.queue,
        None if event.state is None else event.state.value,
        event.attempt,
        event.epoch,
        event.ready_at,
        event.worker,
        event.error,
        event.duration_ms,
    )


def unpack(entry: Entry, position: str | None = None) -> Event:
    """Return what `pack` was given."""
    return Event(
        task_id=entry[0],
        seq=entry[1],
        version=entry[2],
        type=_TYPES[entry[3]],
        at=entry[4],
        queue=entry[5],
        state=_STATES[entry[6]],
        attempt=entry[7],
        epoch=entry[8],
        ready_at=entry[9],
        worker=entry[10],
        error=entry[11],
        duration_ms=entry[12],
        position=position,
    )


class EventLog:
    """All events in order. Used under the lock of the state.

    `entries` is always the same list: a queue that joined the event role appends to it directly, without asking whether
    the event is known, because no transition is made twice. The indexes are brought up to date when they are needed.
    """

    __slots__ = (
        "_base",
        "_by_task",
        "_disorder",
        "_indexed",
        "_known",
        "_latest",
        "_learned",
        "_surveyed",
        "board",
        "entries",
    )

    def __init__(self) -> None:
        self.entries: list[Entry | None] = []
        self.board = Board()
        self._base = 0  # the number of the first entry; numbers are never used again
        self._known: set[tuple[str, int, int]] = set()
        self._learned = 0  # events with smaller numbers are in `_known`
        self._by_task: dict[str, list[int]] = {}
        self._indexed = 0  # events with smaller numbers are in `_by_task`
        self._surveyed = 0
        self._latest = 0
        self._disorder = -1  # from this number on, times do not fall

    @property
    def end(self) -> int:
        """The number that the next event will have."""
        return self._base + len(self.entries)

    def append(self, events: Sequence[Event]) -> int:
        """Append what is not known yet and return how many events that were."""
        if any(event.seq for event in events):
            self._learn()  # only tasks' events are ever appended directly
        known, count = self._known, 0
        for event in events:
            identity = (event.task_id, event.seq, event.version)
            if identity not in known:
                known.add(identity)
                self.entries.append(pack(event))
                count += 1
        if count:
            self.wake()
        return count

    def wake(self) -> None:
        """Wake who follows the log."""
        if self.board.waiting:
            self.board.wake("")

    def number(self, position: str) -> int:
        """Return the number that a position means.

        Raises:
            ConfigError: It is not a position of this log.
        """
        if position.isascii() and position.isdecimal() and int(position) < self.end:
            return int(position)
        raise ConfigError(
            f"after: {position!r} is not a position of this event storage. Pass the `position` of an event that it "
            "returned since this process started, or None to read from the start."
        )

    def read(self, start: int, stop: int, limit: int, where: EventFilter | None, *, desc: bool) -> list[Event]:
        """Return at most `limit` events with start <= number < stop that the filter means."""
        base, entries = self._base, self.entries
        numbers: Sequence[int] = range(max(start, base), min(stop, self.end))
        if where is not None and where.task_id is not None:
            self._index()
            mine = self._by_task.get(where.task_id, [])
            numbers = mine[bisect_left(mine, start) : bisect_left(mine, stop)]
        types = None if where is None or where.types is None else {kind.value for kind in where.types}
        found: list[Event] = []
        for number in reversed(numbers) if desc else numbers:
            if len(found) >= limit:
                break
            entry = entries[number - base]
            if entry is None:
                continue
            if where is not None and not (
                (types is None or entry[_TYPE] in types)
                and (where.queues is None or entry[_QUEUE] in where.queues)
                and (where.at_from is None or entry[_AT] >= where.at_from)
                and (where.at_before is None or entry[_AT] < where.at_before)
            ):
                continue
            found.append(unpack(entry, str(number)))
        return found

    def trim(self, before: int, limit: int) -> int:
        """Remove at most `limit` events that are older, the first in the log first."""
        self._survey()
        count = 0
        for place, entry in enumerate(self.entries):
            if count >= limit:
                break
            if entry is None:
                continue
            if entry[_AT] < before:
                self._forget(entry, self._base + place)
                self.entries[place] = None
                count += 1
            elif self._base + place >= self._disorder:
                break
        self._drop_holes()
        return count

    def _learn(self) -> None:
        """Bring the set of known events up to date with what a queue appended directly."""
        for number in range(max(self._learned, self._base), self.end):
            entry = self.entries[number - self._base]
            if entry is not None:
                self._known.add(entry[:3])
        self._learned = self.end

    def _index(self) -> None:
        """Bring the index by task up to date."""
        for number in range(max(self._indexed, self._base), self.end):
            entry = self.entries[number - self._base]
            if entry is not None:
                self._by_task.setdefault(entry[0], []).append(number)
        self._indexed = self.end

    def _survey(self) -> None:
        """Find the last place where an event is older than one before it, looking at every event once."""
        for number in range(max(self._surveyed, self._base), self.end):
            entry = self.entries[number - self._base]
            if entry is not None:
                if entry[_AT] < self._latest:
                    self._disorder = number
                else:
                    self._latest = entry[_AT]
        self._surveyed = self.end

    def _forget(self, entry: Entry, number: int) -> None:
        self._known.discard(entry[:3])
        if number < self._indexed:
            mine = self._by_task[entry[0]]
            del mine[bisect_right(mine, number) - 1]
            if not mine:
                del self._by_task[entry[0]]

    def _drop_holes(self) -> None:
        holes = 0
        for entry in self.entries:
            if entry is not None:
                break
            holes += 1
        del self.entries[:holes]
        self._base += holes
