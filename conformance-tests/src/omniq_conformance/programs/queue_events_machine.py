"""Programs of a queue and the event storage beside it: relays that die and overlap, readers, and trimming."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from omniq.models.event import EventFilter
from omniq_conformance.invariants import chains, check_chain, check_fold
from omniq_conformance.model.events import EventsModel
from omniq_conformance.programs.calls import Call
from omniq_conformance.programs.drawing import Drawing, choose, operation, programs
from omniq_conformance.programs.pair_drawing import ORDINARY, RELAYS, TOKENS
from omniq_conformance.programs.queue_dump import in_order_of
from omniq_conformance.programs.relaying_machine import RELAYING_SOMETIMES, RelayingMachine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from hypothesis.strategies import SearchStrategy

    from omniq.models.event import Event
    from omniq.models.record import TaskRecord
    from omniq_conformance.programs.calls import Step
    from omniq_conformance.programs.program import Program

__all__ = ["QUEUE_EVENTS_SOMETIMES", "RELAYED_EVENTS_SOMETIMES", "QueueEventsMachine", "queue_events_programs"]

QUEUE_EVENTS_SOMETIMES = frozenset(
    {
        "a life was read",
        "a life was read after its task was purged",
        "trimmed",
        "a trimmed task lives on",
        "clock moved back",
    }
)
RELAYED_EVENTS_SOMETIMES = RELAYING_SOMETIMES | {
    "a relay appends events",
    "a relay appends events again",
    "a relay appends trimmed events again",
    "trimmed before they were acknowledged",
    "a life was read that has not arrived yet",
}
"""What else must have been seen where the events are not joined."""


class QueueEventsMachine(RelayingMachine):
    """Runs operations on the models of the queue and of the events."""

    def __init__(self, mode: str) -> None:
        super().__init__(mode)
        self.told = self.events or EventsModel()
        self.trimmed: set[tuple[str, int]] = set()

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Call:
        before = len(self.model.store.log)
        call = super()._call(method, *args, **kwargs)
        if self.events is None:
            self.told.append(self.model.store.log[before:])
        new = self.model.store.log[before:]
        self.seen["a trimmed task lives on"] += any((event.task_id, event.seq) in self.trimmed for event in new)
        return call

    def finish(self) -> Iterable[Step]:
        """Relay what is left and compare everything: the events are the life of each task, once and in order."""
        yield from self._relay_rest()
        if self.events is not None or not self.trimmed:
            yield from super().finish()
        there = self._there()
        limit = len(there) + 1
        judge = partial(self._are_lives, dict(self.model.store.records))
        yield Call("events", "read", (), {"limit": limit}, there, judge)

    def _there(self) -> list[Event]:
        return [event for event in self.told.log if event is not None]

    def _are_lives(self, records: Mapping[str, TaskRecord], expected: Sequence[Event], actual: Sequence[Event]) -> bool:
        """Tell whether events are the model's, and the whole lives of the tasks of which none was trimmed (I8)."""
        if not self._same(expected, actual):
            return False
        lives = {key: life for key, life in chains(actual).items() if key not in self.trimmed}
        broken = [fault for life in lives.values() for fault in check_chain(life)]
        for record in records.values():
            life = lives.get((record.id, record.seq))
            if life is not None:
                broken += check_fold(record, life)
            elif (record.id, record.seq) not in self.trimmed:
                broken.append(f"task {record.id!r} has no events")
        return not broken

    def _same(self, expected: Sequence[Event], actual: Sequence[Event]) -> bool:
        if self.events is not None:
            return expected == actual
        return in_order_of(self.watch.steps, len(expected) + 1)(expected, actual)

    # Readers, and retention

    def _life(self, id: str | int) -> Iterator[Step]:
        """Read the events of one task."""
        named = self.names.id(id)
        filter = EventFilter(task_id=named)
        page = [event for event in self._there() if event.task_id == named]
        life = [event for event in self.model.store.log if event.task_id == named]
        self.seen["a life was read"] += bool(page)
        self.seen["a life was read that has not arrived yet"] += not self.trimmed and len(page) < len(life)
        self.seen["a life was read after its task was purged"] += bool(page) and named not in self.model.store.records
        yield Call("events", "read", (), {"filter": filter, "limit": 1000}, page, self._same)

    def _purged(self) -> Iterator[Step]:
        """Read the events of the task that was purged last."""
        if self.model.store.removed:
            yield from self._life(self.model.store.removed[-1].id)

    def _trim(self, age: int, limit: int) -> Iterator[Step]:
        """Trim; joined events of one call have no order among them, so that all that are old enough have to go."""
        limit = limit if self.events is not None else 1000
        before = self._there()
        number = self.told.trim(self.now - age, limit)
        left = {event.event_id for event in self._there()}
        gone = [event for event in before if event.event_id not in left]
        self.trimmed |= {(event.task_id, event.seq) for event in gone}
        self.seen["trimmed"] += bool(number)
        waiting = self.model.store.unacknowledged
        self.seen["trimmed before they were acknowledged"] += any(event.event_id in waiting for event in gone)
        yield Call("events", "trim", (self.now - age, limit), {}, number)

    def _append(self, relay: int) -> Iterator[Step]:
        known = {event.event_id for event in self._there()}
        again = (e for e in self.relays[relay].entries if e.event_id in self.told.appended and e.event_id not in known)
        self.seen["a relay appends trimmed events again"] += self.events is not None and any(True for _ in again)
        yield from super()._append(relay)


_DRAWING = Drawing(
    [
        *ORDINARY,
        *RELAYS,
        (5, operation("complete", tokens=TOKENS)),
        (4, operation("fail", tokens=TOKENS, retry=choose(None, 0, 4))),
        (3, operation("life", id=choose("t0", "t1", *range(5)))),
        (2, operation("purge", states=choose(["COMPLETED", "FAILED", "CANCELLED"]), age=choose(-1), limit=choose(50))),
        (3, operation("purged")),
    ]
)
_TRIMMING = Drawing(
    [*_DRAWING.kinds, (2, operation("trim", age=choose(-1, 0, 5), limit=choose(1, 3, 50)))],
)


def queue_events_programs(mode: str) -> SearchStrategy[Program]:
    """Return the strategy of programs of a queue and its events; every second one trims them."""
    return programs("queue-events", mode, _DRAWING, shortest=25, longest=60) | programs(
        "queue-events", mode, _TRIMMING, shortest=25, longest=60
    )
