"""Programs of schedules and the queue that they fire into: two schedulers that die, overlap and are too late."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.record import TaskBody, TaskSpec
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.schedules import Advance
from omniq.worker.scheduler import fire_id
from omniq_conformance.model.schedules import SchedulesModel
from omniq_conformance.programs.calls import Call, UseHandle
from omniq_conformance.programs.drawing import Drawing, choose, maybe, operation, programs, several
from omniq_conformance.programs.pair_drawing import ORDINARY, TOKENS
from omniq_conformance.programs.program import Op
from omniq_conformance.programs.queue_machine import QueueMachine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from random import Random

    from hypothesis.strategies import SearchStrategy

    from omniq.models.record import TaskRecord
    from omniq_conformance.programs.calls import Step
    from omniq_conformance.programs.program import Program

__all__ = [
    "FIRED_APART_SOMETIMES",
    "SCHEDULE_QUEUE_SOMETIMES",
    "ScheduleQueueMachine",
    "due_times",
    "schedule_queue_programs",
]

SCHEDULE_QUEUE_SOMETIMES = frozenset(
    {
        "fired",
        "fired several times at once",
        "coalesced",
        "skipped",
        "fire refused",
        "schedule ended",
        "two schedulers have the same fire time",
        "paused while a scheduler has it",
        "put again while a scheduler has it",
        "deleted while a scheduler has it",
        "a fired task ran",
        "a fired task ended before the next scheduler came",
        "a fired task is kept from a purge",
        "clock moved back",
    }
)
FIRED_APART_SOMETIMES = frozenset({"died between enqueue and advance", "enqueued again"})
"""What else must have been seen where the queue has not joined the schedules."""

_GRACE = 3
_DAY = 86_400_000


def due_times(schedule: Schedule, now: int) -> list[int]:
    """Return the nominal times of an interval or a single schedule that its misfire policy keeps.

    Skipped is what is late by more than three milliseconds, since programs last for a second.
    """
    if schedule.next_run is None or schedule.next_run > now:
        return []
    step = schedule.interval_ms
    times = [schedule.next_run] if step is None else list(range(schedule.next_run, now + 1, step))
    if schedule.misfire is not MisfirePolicy.ALL:
        times = times[-1:]
    if schedule.misfire is MisfirePolicy.SKIP:
        times = [time for time in times if now - time <= _GRACE]
    return times if schedule.max_runs is None else times[: max(0, schedule.max_runs - schedule.runs)]


def _advance(schedule: Schedule, times: Sequence[int], now: int) -> Advance:
    is_over = schedule.max_runs is not None and schedule.runs + len(times) >= schedule.max_runs
    first, step = schedule.next_run or 0, schedule.interval_ms
    following = None if step is None or is_over else first + step * max(1, (now - first) // step + 1)
    return Advance(
        id=schedule.id,
        expected_version=schedule.version,
        next_run=following,
        last_run=times[-1] if times else None,
        fired=len(times),
    )


def _spec(schedule: Schedule, time: int) -> TaskSpec:
    id = fire_id(schedule.id, time)
    expires_at = None if schedule.expires_in_ms is None else time + schedule.expires_in_ms
    return TaskSpec(
        id=id, body=schedule.body, queue=schedule.queue, eta=time, expires_at=expires_at, pinned=True, max_attempts=2
    )


@attrs.define
class _Scheduler:
    """What a scheduler has in hand.

    Attributes:
        due: The schedules as it read them.
        now: When it read them.
        has_enqueued: Whether it has enqueued their tasks.
    """

    due: Sequence[Schedule] = ()
    now: int = 0
    has_enqueued: bool = False


class ScheduleQueueMachine(QueueMachine):
    """Runs operations on the models of the queue and of the schedules."""

    def __init__(self, mode: str) -> None:
        super().__init__(mode)
        self.is_joined = mode == "joined"
        self.schedules = SchedulesModel()
        self.schedulers: dict[int, _Scheduler] = {0: _Scheduler(), 1: _Scheduler()}
        self.fired: dict[str, tuple[str, int]] = {}
        self._current = 0

    def _deadlines(self, of: Sequence[str]) -> Sequence[int]:
        return sorted([*super()._deadlines(of), *self.schedules.deadlines()])

    def _handle(self, number: int) -> Iterator[Step]:
        self._current = number
        yield from super()._handle(number)

    def _by(self, scheduler: int, steps: Iterator[Step]) -> Iterator[Step]:
        yield UseHandle(scheduler)
        yield from steps
        yield UseHandle(self._current)

    def finish(self) -> Iterable[Step]:
        """Let a scheduler fire what is due, and compare everything; every fire time made one task (I10)."""
        yield from self._advance_due(1)
        while self.schedules.due(now=self.now):
            yield from self._fire_due(0)
        yield from super().finish()
        ids = sorted(self.schedules.stored)
        yield Call("schedules", "get", (ids,), {}, self.schedules.get(ids))
        yield Call("schedules", "list", (), {"limit": 100}, self.schedules.list(limit=100))
        tasks = self.model.list(limit=1000, now=self.now)
        judge = partial(self._are_fired_once, list(self.fired))
        yield Call("task_queue", "list", (), {"limit": 1000, "now": self.now}, tasks, judge)

    @staticmethod
    def _are_fired_once(fired: Sequence[str], expected: Sequence[TaskRecord], actual: Sequence[TaskRecord]) -> bool:
        """Tell whether the tasks are the model's, and one is there for each time that was fired."""
        ids = [record.id for record in actual]
        return expected == actual and all(ids.count(id) == 1 for id in fired)

    # Who defines schedules

    def _put(self, id: str, next_run: int, **fields: Any) -> Iterator[Step]:
        step = fields.get("interval")
        schedule = Schedule(
            id=id,
            kind=ScheduleKind.ONCE if step is None else ScheduleKind.INTERVAL,
            body=TaskBody(func="pkg.f", args=b"[%d]" % self.serial),
            interval_ms=step,
            queue="a",
            misfire=MisfirePolicy(fields.get("misfire", "all")),
            max_runs=fields.get("max_runs"),
            expires_in_ms=fields.get("expires_in"),
            next_run=self.now + next_run,
        )
        self._changing("put again", [id])
        answer = self.schedules.put(schedule, now=self.now)
        yield Call("schedules", "put", (schedule,), {"now": self.now}, answer)

    def _delete(self, ids: Sequence[str]) -> Iterator[Step]:
        self._changing("deleted", ids)
        yield Call("schedules", "delete", (ids,), {}, self.schedules.delete(ids))

    def _pause_schedules(self, ids: Sequence[str]) -> Iterator[Step]:
        self._changing("paused", ids)
        yield Call("schedules", "pause", (ids,), {}, self.schedules.pause(ids))

    def _resume_schedules(self, ids: Sequence[str]) -> Iterator[Step]:
        yield Call("schedules", "resume", (ids,), {}, self.schedules.resume(ids))

    def _changing(self, what: str, ids: Sequence[str]) -> None:
        held = {schedule.id for scheduler in self.schedulers.values() for schedule in scheduler.due}
        self.seen[f"{what} while a scheduler has it"] += bool(held & set(ids) & set(self.schedules.stored))

    # Schedulers

    def _scan(self, scheduler: int, limit: int = 100) -> Iterator[Step]:
        """Read what is due; what this scheduler had in hand is lost, as if it had died and another took its place."""
        self.seen["died between enqueue and advance"] += self.schedulers[scheduler].has_enqueued
        due = self.schedules.due(limit, now=self.now)
        others = {(s.id, s.version) for number, o in self.schedulers.items() if number != scheduler for s in o.due}
        self.seen["two schedulers have the same fire time"] += any((s.id, s.version) in others for s in due)
        self.schedulers[scheduler] = _Scheduler(due, self.now)
        yield from self._by(scheduler, iter([Call("schedules", "due", (limit,), {"now": self.now}, due)]))

    def _enqueue_due(self, scheduler: int) -> Iterator[Step]:
        """Enqueue the tasks of what was due, under ids that every scheduler gives them."""
        mine = self.schedulers[scheduler]
        specs = [_spec(schedule, time) for schedule in mine.due for time in due_times(schedule, mine.now)]
        if self.is_joined or not mine.due:
            return
        mine.has_enqueued = True
        if not specs:
            return
        records = self.model.store.records
        ended = any(spec.id in records and records[spec.id].state in TERMINAL for spec in specs)
        self.seen["a fired task ended before the next scheduler came"] += ended
        call = self._call("enqueue", specs, now=self.now)
        self.seen["enqueued again"] += not all(reply.created for reply in call.expected)
        yield from self._by(scheduler, iter([call]))

    def _advance_due(self, scheduler: int) -> Iterator[Step]:
        """Advance what was due by compare-and-set, once its tasks are enqueued."""
        mine = self.schedulers[scheduler]
        if not mine.has_enqueued:
            return
        moves = [_advance(schedule, due_times(schedule, mine.now), mine.now) for schedule in mine.due]
        answer = self.schedules.advance(moves)
        for schedule, done in zip(mine.due, answer, strict=True):
            self._moved(schedule, mine.now, done=done)
        self.schedulers[scheduler] = _Scheduler()
        yield from self._by(scheduler, iter([Call("schedules", "advance", (moves,), {}, answer)]))

    def _fire_due(self, scheduler: int) -> Iterator[Step]:
        """Do all of it: in one step each where the queue has joined the schedules, else one after the other."""
        yield from self._scan(scheduler)
        yield from self._enqueue_due(scheduler)
        yield from self._advance_due(scheduler)
        yield from self._fire_joined(scheduler)

    def _fire_joined(self, scheduler: int) -> Iterator[Step]:
        """Enqueue and advance in one step, where the queue has joined the schedules."""
        mine = self.schedulers[scheduler]
        if not self.is_joined:
            return
        self.schedulers[scheduler] = _Scheduler()
        for schedule in mine.due:
            times = due_times(schedule, mine.now)
            move, specs = _advance(schedule, times, mine.now), [_spec(schedule, time) for time in times]
            records = self.model.store.records
            ended = any(spec.id in records and records[spec.id].state in TERMINAL for spec in specs)
            self.seen["a fired task ended before the next scheduler came"] += ended
            done = self.schedules.advance([move]) == [True]
            self._moved(schedule, mine.now, done=done)
            if done:
                enqueued = self._call("enqueue", specs, now=self.now).expected
            call = Call("task_queue", "fire", (specs, move), {"now": self.now}, enqueued if done else None)
            yield from self._by(scheduler, iter([call]))

    def _moved(self, schedule: Schedule, now: int, *, done: bool) -> None:
        times = due_times(schedule, now)
        self.seen["fired" if done else "fire refused"] += 1
        if not done:
            return
        self.fired |= {fire_id(schedule.id, time): (schedule.id, time) for time in times}
        self.seen["fired several times at once"] += len(times) > 1
        passed = schedule.interval_ms is not None and (schedule.next_run or 0) + schedule.interval_ms <= now
        self.seen["coalesced"] += passed and len(times) == 1 and schedule.misfire is MisfirePolicy.COALESCE
        self.seen["skipped"] += not times and schedule.misfire is MisfirePolicy.SKIP
        self.seen["schedule ended"] += self.schedules.stored[schedule.id].next_run is None

    # Workers, and retention

    def _complete(self, tokens: Sequence[Any], *, result: bool = True) -> Iterator[Step]:
        yield from super()._complete(tokens, result=result)
        records = self.model.store.records
        ran = (id for id in self.fired if id in records and records[id].state is TaskStatus.COMPLETED)
        self.seen["a fired task ran"] += any(True for _ in ran)

    def _purge(self, states: Sequence[str], age: int, limit: int, pinned_age: int | None = None) -> Iterator[Step]:
        del pinned_age  # no scheduler is away for so long that a fired task may go
        wanted = [r for r in self.model.store.records.values() if r.pinned and r.state in TERMINAL]
        self.seen["a fired task is kept from a purge"] += any((r.finished_at or 0) < self.now - age for r in wanted)
        yield from super()._purge(states, age, limit, _DAY)


_IDS = ("s0", "s1")
_ids = several(choose(*_IDS), 2)
_scheduler = choose(0, 1)
_fields = maybe(
    0.5,
    interval=choose(3, 5, 10),
    misfire=choose("coalesce", "skip"),
)
_limits = maybe(0.1, max_runs=choose(1, 2, 4), expires_in=choose(6))


def _schedule(rng: Random) -> Sequence[Op]:
    fields: Mapping[str, Any] = {"interval": rng.choice([3, 5, 10]), **_fields(rng), **_limits(rng)}
    return (Op("put", {"id": rng.choice(_IDS), "next_run": rng.choice([-4, 0, 2, 6]), **fields}),)


_DRAWING = Drawing(
    [
        *ORDINARY,
        (4, _schedule),
        (1, operation("put", id=choose(*_IDS), next_run=choose(0, 3))),
        (1, operation("delete", ids=_ids)),
        (2, operation("pause_schedules", ids=_ids)),
        (3, operation("resume_schedules", ids=_ids)),
        (8, operation("scan", scheduler=_scheduler, limit=choose(1, 100, 100))),
        (6, operation("enqueue_due", scheduler=_scheduler)),
        (5, operation("advance_due", scheduler=_scheduler)),
        (3, operation("fire_joined", scheduler=_scheduler)),
        (4, operation("fire_due", scheduler=_scheduler)),
        (6, operation("complete", tokens=TOKENS)),
        (3, operation("ack", skip=choose(0), number=choose(1000))),
        (4, operation("clock", by=choose(1, 3, 12))),
        (2, operation("clock", by=choose(-2, -6))),
    ]
)


def schedule_queue_programs(mode: str) -> SearchStrategy[Program]:
    """Return the strategy of programs of schedules and their queue."""
    return programs("schedule-queue", mode, _DRAWING, shortest=25, longest=60)
