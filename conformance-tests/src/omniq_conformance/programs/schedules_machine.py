"""Programs of the schedule storage, and of a queue that has joined it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.record import TaskBody, TaskSpec
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.storage.schedules import Advance
from omniq_conformance.model.results import ResultsModel
from omniq_conformance.model.schedules import SchedulesModel
from omniq_conformance.model.task_queue import TaskQueueModel
from omniq_conformance.programs.calls import Call
from omniq_conformance.programs.drawing import Drawing, choose, maybe, operation, programs, several
from omniq_conformance.programs.program import Op
from omniq_conformance.programs.role_machine import RoleMachine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from random import Random

    from hypothesis.strategies import SearchStrategy

    from omniq_conformance.programs.calls import Step
    from omniq_conformance.programs.program import Program

__all__ = ["FIRING_SOMETIMES", "SCHEDULES_SOMETIMES", "SchedulesMachine", "schedules_programs"]

SCHEDULES_SOMETIMES = frozenset(
    {
        "put a new one",
        "replaced one",
        "put refused",
        "deleted",
        "due",
        "advanced",
        "advance refused",
        "schedule ended",
        "paused",
        "resumed",
        "paused and due",
        "made again after it was deleted",
        "clock moved back",
        "reopened",
    }
)
FIRING_SOMETIMES = frozenset({"fired", "fire refused", "fired a known id"})
"""What else must have been seen where the queue has joined the schedules."""

_PAGE = 2


class SchedulesMachine(RoleMachine):
    """Runs operations on the model of the schedule storage; `fire` also on that of the queue, if they are joined."""

    role = "schedules"

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.model = SchedulesModel()
        self.queue = TaskQueueModel(ResultsModel()) if mode == "joined" else None
        self.deleted: set[str] = set()

    def deadlines(self) -> list[int]:
        """Return the next fire times."""
        return self.model.deadlines()

    def finish(self) -> Iterable[Step]:
        """Read everything, and the tasks that were fired."""
        ids = [*sorted(self.model.stored), "nobody"]
        yield self.call("get", ids, expected=self.model.get(ids))
        after = None
        while page := self.model.list(after=after, limit=_PAGE):
            yield self.call("list", after=after, limit=_PAGE, expected=page)
            after = page[-1].id
        yield self.call("list", after=after, limit=_PAGE, expected=[])
        yield self.call("due", 100, now=self.now, expected=self.model.due(now=self.now))
        yield self.call("next_due", expected=self.model.next_due())
        if self.queue is not None:
            tasks = self.queue.list(limit=1000, now=self.now)
            yield Call("task_queue", "list", (), {"limit": 1000, "now": self.now}, tasks)

    def _put(self, id: str, expected: str | None, **fields: Any) -> Iterator[Step]:
        kind = ScheduleKind(fields.get("kind", "interval"))
        schedule = Schedule(
            id=id,
            kind=kind,
            body=TaskBody(func="pkg.f", args=b"[%d]" % self.serial, headers={"n": str(self.serial)}),
            cron="*/5 * * * *" if kind is ScheduleKind.CRON else None,
            zone=fields.get("zone", "UTC"),
            interval_ms=10 if kind is ScheduleKind.INTERVAL else None,
            queue=fields.get("queue", "a"),
            priority=fields.get("priority", 0),
            misfire=MisfirePolicy(fields.get("misfire", "coalesce")),
            grace_ms=fields.get("grace"),
            jitter_ms=fields.get("jitter", 0),
            max_runs=fields.get("max_runs"),
            expires_in_ms=fields.get("expires_in"),
            next_run=None if fields.get("next_run") is None else self.now + fields["next_run"],
            paused=fields.get("paused", False),
            version=77,
            created_at=77,
        )
        version = self._version(id, expected)
        old = self.model.stored.get(id)
        answer = self.model.put(schedule, expected_version=version, now=self.now)
        self.seen["put refused" if answer is None else "replaced one" if old else "put a new one"] += 1
        self.seen["made again after it was deleted"] += answer is not None and old is None and id in self.deleted
        yield self.call("put", schedule, expected_version=version, now=self.now, expected=answer)

    def _version(self, id: str, expected: str | None) -> int | None:
        old = self.model.stored.get(id)
        version = old.version if old else 0
        match expected:
            case "stored":
                return version
            case "none":
                return 0
            case "older":
                return version - 1 or 1
            case _:
                return None

    def _get(self, ids: Sequence[str]) -> Iterator[Step]:
        yield self.call("get", ids, expected=self.model.get(ids))

    def _list(self, after: str | None, limit: int) -> Iterator[Step]:
        yield self.call("list", after=after, limit=limit, expected=self.model.list(after=after, limit=limit))

    def _delete(self, ids: Sequence[str]) -> Iterator[Step]:
        answer = self.model.delete(ids)
        self.deleted |= {id for id, there in zip(ids, answer, strict=True) if there}
        self.seen["deleted"] += any(answer)
        yield self.call("delete", ids, expected=answer)

    def _due(self, limit: int) -> Iterator[Step]:
        answer = self.model.due(limit, now=self.now)
        self.seen["due"] += bool(answer)
        late = (s for s in self.model.stored.values() if s.next_run is not None and s.next_run <= self.now)
        self.seen["paused and due"] += any(schedule.paused for schedule in late)
        yield self.call("due", limit, now=self.now, expected=answer)
        yield self.call("next_due", expected=self.model.next_due())

    def _move(self, given: Mapping[str, Any]) -> Advance:
        step = given.get("step")
        return Advance(
            id=given["id"],
            expected_version=self._version(given["id"], given["expected"]) or 0,
            next_run=None if step is None else self.now + step,
            last_run=self.now if given.get("fired") else None,
            fired=given.get("fired", 0),
        )

    def _advance(self, advances: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
        # Of each schedule one, since a second move in a batch would be judged by the version before the first.
        moves = {given["id"]: self._move(given) for given in advances}
        answer = self.model.advance(list(moves.values()))
        self.seen["advanced"] += any(answer)
        self.seen["advance refused"] += not all(answer)
        self.seen["schedule ended"] += any(
            done and move.next_run is None for done, move in zip(answer, moves.values(), strict=True)
        )
        yield self.call("advance", list(moves.values()), expected=answer)

    def _pause(self, ids: Sequence[str]) -> Iterator[Step]:
        answer = self.model.pause(ids)
        self.seen["paused"] += any(answer)
        yield self.call("pause", ids, expected=answer)

    def _resume(self, ids: Sequence[str]) -> Iterator[Step]:
        answer = self.model.resume(ids)
        self.seen["resumed"] += any(answer)
        yield self.call("resume", ids, expected=answer)

    def _fire(self, move: Mapping[str, Any], tasks: Sequence[str]) -> Iterator[Step]:
        """Fire in one step, where the queue has joined the schedules."""
        if self.queue is None:
            return
        advance = self._move(move)
        specs = [TaskSpec(id=id, body=TaskBody(func="pkg.f", args=b"[%d]" % self.serial)) for id in tasks]
        answer = None
        if self.model.advance([advance]) == [True]:
            answer = self.queue.enqueue(specs, now=self.now)
        self.seen["fire refused" if answer is None else "fired"] += 1
        self.seen["fired a known id"] += any(not reply.created for reply in answer or ())
        yield Call("task_queue", "fire", (specs, advance), {"now": self.now}, answer)


_IDS = ("a", "b", "B/", "\U0001f600")
_ids = several(choose(*_IDS), 2)
_expected = choose("stored", "stored", "none", "older", None)
_fields = maybe(
    0.3,
    kind=choose("cron", "once"),
    zone=choose("Europe/Berlin"),
    queue=choose("b"),
    priority=choose(9),
    misfire=choose("skip", "all"),
    grace=choose(0, 100),
    jitter=choose(5),
    max_runs=choose(1, 3),
    expires_in=choose(50),
    paused=choose(True),  # noqa: FBT003 - a value to choose
)


def _put(rng: Random) -> dict[str, Any]:
    return {
        "id": rng.choice(_IDS),
        "expected": _expected(rng),
        "next_run": rng.choice([None, -5, 0, 3, 8]),
        **_fields(rng),
    }


def _move(rng: Random) -> dict[str, Any]:
    return {
        "id": rng.choice(_IDS),
        "expected": rng.choice(["stored", "stored", "stored", "older"]),
        "step": rng.choice([None, 4, 9]),
        "fired": rng.choice([0, 1, 3]),
    }


_DRAWING = Drawing(
    [
        (10, lambda rng: (Op("put", _put(rng)),)),
        (2, operation("get", ids=_ids)),
        (2, operation("list", after=choose(None, *_IDS), limit=choose(1, 2, 50))),
        (3, operation("delete", ids=_ids)),
        (4, operation("due", limit=choose(1, 2, 50))),
        (5, operation("advance", advances=several(_move, 3))),
        (3, operation("pause", ids=_ids)),
        (3, operation("resume", ids=_ids)),
        (6, operation("fire", move=_move, tasks=several(choose("f0", "f1", "f2"), 2))),
        (6, operation("clock", to=choose(0, 0, 1), delta=choose(-1, 0, 0, 1))),
        (2, operation("clock", by=choose(1, -7))),
        (1, operation("reopen")),
        (1, operation("handle", number=choose(0, 1))),
    ]
)


def schedules_programs(mode: str) -> SearchStrategy[Program]:
    """Return the strategy of programs of the schedule storage."""
    return programs("schedules", mode, _DRAWING, shortest=25, longest=70)
