"""The lifecycle log in memory: rows by position."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from omniq_file.machine.stored import Row, event_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omniq.models.event import Event, EventFilter

__all__ = ["EventTable", "ranges_of"]

_AT: Final = 4
_TYPE: Final = 3
_QUEUE: Final = 5


class EventTable:
    """All events, by a number that is never used again.

    Attributes:
        end: The number that the next event will have.
    """

    __slots__ = ("_by_task", "_first", "_indexed", "_known", "_learned", "_rows", "end")

    def __init__(self) -> None:
        self.end = 1
        self._first = 1
        self._rows: list[Row | None] = []
        self._known: set[tuple[str, int, int]] = set()
        self._learned = 1  # events with smaller numbers are in `_known`
        self._by_task: dict[str, list[int]] = {}
        self._indexed = 1  # events with smaller numbers are in `_by_task`

    def start_at(self, number: int) -> None:
        """Give the first event that will come this number."""
        self.end = self._first = self._learned = self._indexed = number

    def add(self, row: Row) -> None:
        """Append an event."""
        self._rows.append(row)
        self.end += 1

    def skip(self, count: int) -> None:
        """Use up numbers of events that were removed."""
        self._rows.extend([None] * count)
        self.end += count

    def take_back(self) -> None:
        """Undo the last `add`."""
        row = self._rows.pop()
        self.end -= 1
        if row is not None and self._learned > self.end:
            self._known.discard((row[0], row[1], row[2]))
            self._learned = self.end
        if self._indexed > self.end:
            self._by_task.clear()
            self._indexed = self._first

    def knows(self, event: Event) -> bool:
        """Tell whether an event is there."""
        for _, row in self._span(self._learned, self.end):
            self._known.add((row[0], row[1], row[2]))
        self._learned = self.end
        return (event.task_id, event.seq, event.version) in self._known

    def old(self, before: int, limit: int) -> list[int]:
        """Return the numbers of the first events that happened before."""
        found: list[int] = []
        for number, row in self._span(self._first, self.end):
            if len(found) >= limit:
                break
            if row[_AT] < before:
                found.append(number)
        return found

    def remove(self, spans: Iterable[Sequence[int]]) -> list[tuple[int, Row]]:
        """Remove events from the first number of each span to the last, and return them."""
        gone: list[tuple[int, Row]] = []
        for first, last in spans:
            gone += list(self._span(first, last + 1))
        for number, row in gone:
            self._rows[number - self._first] = None
            self._known.discard((row[0], row[1], row[2]))
            if number < self._indexed:
                mine = self._by_task[row[0]]
                del mine[bisect_left(mine, number)]
        leading = next((place for place, row in enumerate(self._rows) if row is not None), len(self._rows))
        if leading > len(self._rows) // 2:  # or many small trims would move the rest each time
            del self._rows[:leading]
            self._first += leading
            self._learned, self._indexed = max(self._learned, self._first), max(self._indexed, self._first)
        return gone

    def put_back(self, gone: Iterable[tuple[int, Row]]) -> None:
        """Undo `remove`."""
        found = list(gone)
        missing = self._first - min((number for number, _ in found), default=self._first)
        if missing > 0:
            self._rows[:0] = [None] * missing
            self._first -= missing
        for number, row in found:
            self._rows[number - self._first] = row
        self._known.clear()
        self._by_task.clear()
        self._learned = self._indexed = self._first

    def read(
        self, after: int | None, limit: int, where: EventFilter | None, *, desc: bool, until: int | None = None
    ) -> list[Event]:
        """Return events past a number that the filter means."""
        start, stop = self._first, self.end if until is None else min(self.end, until)
        if after is not None:
            start, stop = (start, min(stop, after)) if desc else (max(start, after + 1), stop)
        numbers: Sequence[int] = range(start, stop)
        if where is not None and where.task_id is not None:
            self._index()
            mine = self._by_task.get(where.task_id, [])
            numbers = mine[bisect_left(mine, start) : bisect_left(mine, stop)]
        types = None if where is None or where.types is None else frozenset(map(str, where.types))
        found: list[Event] = []
        for number in reversed(numbers) if desc else numbers:
            if len(found) >= limit:
                break
            row = self._rows[number - self._first]
            if row is not None and (where is None or _means(row, where, types)):
                found.append(event_of(row, number))
        return found

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        return self._span(self._first, self.end)

    def _span(self, start: int, stop: int) -> Iterator[tuple[int, Row]]:
        first = self._first
        for number in range(max(start, first), min(stop, self.end)):
            row = self._rows[number - first]
            if row is not None:
                yield number, row

    def _index(self) -> None:
        for number, row in self._span(self._indexed, self.end):
            self._by_task.setdefault(row[0], []).append(number)
        self._indexed = self.end


def ranges_of(numbers: Iterable[int]) -> list[list[int]]:
    """Return ascending numbers as spans of the first and the last of those that follow each other."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return spans


def _means(row: Row, where: EventFilter, types: frozenset[str] | None) -> bool:
    return (
        (types is None or row[_TYPE] in types)
        and (where.queues is None or row[_QUEUE] in where.queues)
        and (where.at_from is None or row[_AT] >= where.at_from)
        and (where.at_before is None or row[_AT] < where.at_before)
    )
