"""Programs of the event storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.event import Event, EventFilter, EventType
from omniq.models.status import TaskStatus
from omniq_conformance.model.events import EventsModel
from omniq_conformance.programs.calls import Call, Position
from omniq_conformance.programs.drawing import Drawing, choose, maybe, operation, programs, several
from omniq_conformance.programs.role_machine import RoleMachine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from random import Random

    from hypothesis.strategies import SearchStrategy

    from omniq_conformance.programs.calls import Step
    from omniq_conformance.programs.program import Program

__all__ = ["EVENTS_SOMETIMES", "EventsMachine", "events_programs"]

EVENTS_SOMETIMES = frozenset(
    {
        "appended",
        "appended a known one",
        "appended one twice in a batch",
        "read after a position",
        "read after a position that was trimmed",
        "read before a position",
        "filtered",
        "trimmed",
        "trimmed the first",
        "appended a trimmed one",
        "clock moved back",
        "reopened",
    }
)

_PAGE = 3


class EventsMachine(RoleMachine):
    """Runs operations on the model of the event storage."""

    role = "events"

    def __init__(self, mode: str) -> None:
        del mode
        super().__init__()
        self.model = EventsModel()
        self.read: list[int] = []

    def deadlines(self) -> list[int]:
        """Nothing changes by itself."""
        return []

    def finish(self) -> Iterable[Step]:
        """Read everything by pages, both ways."""
        for desc in (False, True):
            after = None
            while True:
                page = self.model.read(after=after, limit=_PAGE, desc=desc)
                yield self._reading(page, after, _PAGE, None, desc=desc)
                if not page:
                    break
                after = page[-1][0]

    def _reading(
        self, page: list[tuple[int, Event]], after: int | None, limit: int, filter: EventFilter | None, *, desc: bool
    ) -> Call:
        position = None if after is None else Position(after)
        kwargs = {"after": position, "limit": limit, "filter": filter, "desc": desc}
        numbers = [number for number, _ in page]
        return self.call("read", expected=[event for _, event in page], numbers=numbers, **kwargs)

    def _append(self, events: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
        made = [
            Event(
                task_id=given["task"],
                seq=given["seq"],
                version=given["version"],
                type=EventType(given["type"]),
                at=self.now + given.get("late", 0),
                queue=given.get("queue", ""),
                state=TaskStatus.PENDING if given["seq"] else None,
                attempt=given.get("attempt", 0),
                ready_at=given.get("ready_at"),
                worker=given.get("worker"),
                error=given.get("error"),
                duration_ms=given.get("duration"),
            )
            for given in events
        ]
        ids = [event.event_id for event in made]
        self.seen["appended a trimmed one"] += bool(set(ids) & set(self.model.appended) - self.model.known)
        self.seen["appended a known one"] += any(id in self.model.known for id in ids)
        self.seen["appended one twice in a batch"] += len(set(ids)) < len(ids)
        number = self.model.append(made)
        self.seen["appended"] += bool(number)
        yield self.call("append", made, expected=number)

    def _read(self, after: int | None, limit: int, filter: Mapping[str, Any], *, desc: bool) -> Iterator[Step]:
        place = self.read[after % len(self.read)] if after is not None and self.read else None
        wanted = self._filter(filter) if filter else None
        page = self.model.read(after=place, limit=limit, filter=wanted, desc=desc)
        if place is not None:
            self.seen["read before a position" if desc else "read after a position"] += 1
            self.seen["read after a position that was trimmed"] += self.model.log[place] is None
        self.seen["filtered"] += wanted is not None and bool(page)
        self.read += [number for number, _ in page if number not in self.read]
        yield self._reading(page, place, limit, wanted, desc=desc)

    def _filter(self, given: Mapping[str, Any]) -> EventFilter:
        conditions = dict(given)
        if "types" in given:
            conditions["types"] = frozenset(EventType(name) for name in given["types"])
        if "queues" in given:
            conditions["queues"] = frozenset(given["queues"])
        for name in ("at_from", "at_before"):
            if name in given:
                conditions[name] = self.now + given[name]
        return EventFilter(**conditions)

    def _trim(self, age: int, limit: int) -> Iterator[Step]:
        number = self.model.trim(self.now - age, limit)
        self.seen["trimmed"] += bool(number)
        self.seen["trimmed the first"] += number == limit
        yield self.call("trim", self.now - age, limit, expected=number)


def _event(rng: Random) -> dict[str, Any]:
    options = maybe(
        0.3,
        late=choose(-3, 2),
        queue=choose("a", "b"),
        attempt=choose(1),
        ready_at=choose(0, 5),
        worker=choose("w0"),
        error=choose("boom", ""),
        duration=choose(0, 7),
    )
    task = rng.choice(["t0", "t1", "sched:s"])
    return {
        "task": task,
        "seq": 0 if task == "sched:s" else rng.choice([1, 2]),
        "version": rng.choice(range(1, 12)),
        "type": rng.choice(["ENQUEUED", "STARTED", "COMPLETED", "SCHEDULE_FIRED"]),
        **options(rng),
    }


_conditions = maybe(
    0.25,
    task_id=choose("t0", "sched:s"),
    types=choose(["STARTED"], ["ENQUEUED", "COMPLETED"]),
    queues=choose(["a"], ["a", "b"], [""]),
    at_from=choose(-5, 0),
    at_before=choose(-5, 0, 1),
)
_DRAWING = Drawing(
    [
        (8, operation("append", events=several(_event, 5))),
        (
            8,
            operation(
                "read",
                after=choose(None, *range(9)),
                limit=choose(1, 2, 50),
                filter=_conditions,
                desc=choose(True, False),  # noqa: FBT003 - values to choose
            ),
        ),
        (2, operation("trim", age=choose(-1, 0, 3, 8), limit=choose(1, 3, 50))),
        (3, operation("clock", by=choose(1, 2, 5, -4))),
        (1, operation("reopen")),
        (1, operation("handle", number=choose(0, 1))),
    ]
)


def events_programs(mode: str) -> SearchStrategy[Program]:
    """Return the strategy of programs of the event storage."""
    return programs("events", mode, _DRAWING, shortest=20, longest=60)
