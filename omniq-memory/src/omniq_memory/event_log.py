"""The lifecycle log as rows of atoms, made into events when they are read."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from omniq.errors import ConfigError
from omniq.models.event import Event, EventType
from omniq.models.status import TaskStatus
from omniq_memory.waiting import Board

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omniq.models.event import EventFilter

__all__ = ["COMPLETED", "ENQUEUED", "STARTED", "EventLog", "Row", "kind_of", "pack", "state_of", "unpack"]

Row: TypeAlias = "tuple[str, int, int, int, int, str, int, int, int | None, str | None, int | None, str | None]"
"""task_id, seq, version, kind, at, queue, attempt, epoch, ready_at, worker, duration_ms, error.

`kind` is the number of a type and a state.
"""

_IDENTITY: Final = 3  # so many fields identify an event
_KIND: Final = 3
_AT: Final = 4
_QUEUE: Final = 5
_WIDTH: Final = 12
_PAGE: Final = 1024

_kinds: list[tuple[EventType, TaskStatus | None]] = []
_numbers: dict[tuple[EventType, TaskStatus | None], int] = {}


def kind_of(event_type: EventType, state: TaskStatus | None) -> int:
    """Return the number of a type and a state."""
    number = _numbers.get((event_type, state))
    if number is None:
        _kinds.append((event_type, state))
        number = _numbers[event_type, state] = len(_kinds) - 1
    return number


ENQUEUED = kind_of(EventType.ENQUEUED, TaskStatus.PENDING)
STARTED = kind_of(EventType.STARTED, TaskStatus.RUNNING)
COMPLETED = kind_of(EventType.COMPLETED, TaskStatus.COMPLETED)


def pack(event: Event) -> Row:
    """Return the event as the log keeps it."""
    return (
        event.task_id,
        event.seq,
        event.version,
        kind_of(event.type, event.state),
        event.at,
        event.queue,
        event.attempt,
        event.epoch,
        event.ready_at,
        event.worker,
        event.duration_ms,
        event.error,
    )


def unpack(row: Sequence[Any], position: str | None = None) -> Event:
    """Return what `pack` was given."""
    event_type, state = _kinds[row[_KIND]]
    return Event(
        task_id=row[0],
        seq=row[1],
        version=row[2],
        type=event_type,
        at=row[_AT],
        queue=row[_QUEUE],
        state=state,
        attempt=row[6],
        epoch=row[7],
        ready_at=row[8],
        worker=row[9],
        error=row[11],
        duration_ms=row[10],
        position=position,
    )


def state_of(row: Row) -> TaskStatus | None:
    """Return the state after the transition."""
    return _kinds[row[_KIND]][1]


class EventLog:
    """All events in order, by number. Used under the lock of the state.

    Rows stand one after another in one list, and by pages in tuples once they are many: so an event is no object of its
    own, and the garbage collector, which stops tracking tuples of atoms, has nothing to look at.

    Attributes:
        tail: The fields of the latest rows; always the same list. A queue that joined the event role extends it
            directly, without asking whether the event is known, because no transition is made twice.
        board: Who follows the log.
    """

    __slots__ = (
        "_by_task",
        "_disorder",
        "_first",
        "_holes",
        "_indexed",
        "_known",
        "_latest",
        "_learned",
        "_pages",
        "_sealed",
        "_surveyed",
        "board",
        "tail",
    )

    def __init__(self) -> None:
        self.tail: list[Any] = []
        self.board = Board()
        self._pages: dict[int, tuple[Any, ...]] = {}
        self._sealed = 0  # events with smaller numbers are in pages
        self._first = 0  # events with smaller numbers were removed
        self._holes: set[int] = set()  # removed later ones
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
        return self._sealed + len(self.tail) // _WIDTH

    def append(self, events: Sequence[Event]) -> int:
        """Append what is not known yet and return how many events that were."""
        if any(event.seq for event in events):
            self._learn()  # only tasks' events are ever added directly
        known, count = self._known, 0
        for event in events:
            identity = (event.task_id, event.seq, event.version)
            if identity not in known:
                known.add(identity)
                self.tail.extend(pack(event))
                count += 1
        if count:
            self.close_batch()
        return count

    def close_batch(self) -> None:
        """Wake who follows the log, and put what is enough for a page into one."""
        if self.board.waiting:
            self.board.wake("")
        tail, size = self.tail, _WIDTH * _PAGE
        while len(tail) >= size:
            self._pages[self._sealed // _PAGE] = tuple(tail[:size])
            del tail[:size]
            self._sealed += _PAGE

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
        numbers: Sequence[int] = range(max(start, self._first), min(stop, self.end))
        if where is not None and where.task_id is not None:
            self._index()
            mine = self._by_task.get(where.task_id, [])
            numbers = mine[bisect_left(mine, start) : bisect_left(mine, stop)]
        kinds = None if where is None or where.types is None else _kinds_of(where.types)
        found: list[Event] = []
        for number, row in self._rows(reversed(numbers) if desc else numbers):
            if len(found) >= limit:
                break
            if where is None or (
                (kinds is None or row[_KIND] in kinds)
                and (where.queues is None or row[_QUEUE] in where.queues)
                and (where.at_from is None or row[_AT] >= where.at_from)
                and (where.at_before is None or row[_AT] < where.at_before)
            ):
                found.append(unpack(row, str(number)))
        return found

    def trim(self, before: int, limit: int) -> int:
        """Remove at most `limit` events that are older, the first in the log first."""
        self._survey()
        count = 0
        for number, row in self._rows(range(self._first, self.end)):
            if count >= limit:
                break
            if row[_AT] < before:
                self._known.discard((row[0], row[1], row[2]))
                if number < self._indexed:
                    self._unindex(row[0], number)
                self._holes.add(number)
                count += 1
            elif number >= self._disorder:
                break
        self._drop_front()
        return count

    def _rows(self, numbers: Iterable[int]) -> Iterator[tuple[int, Sequence[Any]]]:
        """Yield the rows of those of the numbers that were not removed."""
        pages, tail, sealed, holes = self._pages, self.tail, self._sealed, self._holes
        for number in numbers:
            if number not in holes:
                if number < sealed:
                    start = number % _PAGE * _WIDTH
                    yield number, pages[number // _PAGE][start : start + _WIDTH]
                else:
                    start = (number - sealed) * _WIDTH
                    yield number, tail[start : start + _WIDTH]

    def _learn(self) -> None:
        """Bring the set of known events up to date with what a queue added directly."""
        for _, row in self._rows(range(max(self._learned, self._first), self.end)):
            self._known.add((row[0], row[1], row[2]))
        self._learned = self.end

    def _index(self) -> None:
        """Bring the index by task up to date."""
        for number, row in self._rows(range(max(self._indexed, self._first), self.end)):
            self._by_task.setdefault(row[0], []).append(number)
        self._indexed = self.end

    def _unindex(self, task_id: str, number: int) -> None:
        mine = self._by_task[task_id]
        del mine[bisect_left(mine, number)]
        if not mine:
            del self._by_task[task_id]

    def _survey(self) -> None:
        """Find the last place where an event is older than one before it, looking at every event once."""
        for number, row in self._rows(range(max(self._surveyed, self._first), self.end)):
            if row[_AT] < self._latest:
                self._disorder = number
            else:
                self._latest = row[_AT]
        self._surveyed = self.end

    def _drop_front(self) -> None:
        first = self._first
        while first in self._holes:
            self._holes.remove(first)
            first += 1
        for page in range(self._first // _PAGE, min(first, self._sealed) // _PAGE):
            del self._pages[page]
        self._first = first


def _kinds_of(types: frozenset[EventType]) -> frozenset[int]:
    return frozenset(number for number, (event_type, _) in enumerate(_kinds) if event_type in types)
