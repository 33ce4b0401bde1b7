"""The models of all roles behind the methods of opened stores, and what a store looks like from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs

from omniq.models.config import Role
from omniq_conformance.faults.acts import Steps
from omniq_conformance.faults.scenario import END
from omniq_conformance.model.events import EventsModel
from omniq_conformance.model.results import ResultsModel
from omniq_conformance.model.schedules import SchedulesModel
from omniq_conformance.model.task_queue import TaskQueueModel
from omniq_conformance.programs.queue_dump import same_outcomes
from omniq_conformance.space import Mode, Stores

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import Enqueued, TaskSpec
    from omniq.models.result import ResultRecord
    from omniq.storage.schedules import Advance

__all__ = ["View", "World", "differences", "look", "torn"]

View = dict[tuple[Any, ...], Any]
"""Every stored thing: (kind, name ...) and its value, without the numbers that a store chooses."""
_ALL = 10_000


class _Storage:
    """Lets a model be called as a storage is."""

    def __init__(self, model: object) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._model, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return call


class _Queue(TaskQueueModel):
    """A task queue that can fire the schedules of a model."""

    def __init__(self, results: ResultsModel | None, schedules: SchedulesModel) -> None:
        super().__init__(results)
        self._schedules = schedules

    def fire(self, specs: Sequence[TaskSpec], advance: Advance, *, now: int) -> list[Enqueued] | None:
        """Answer `TaskQueue.fire`."""
        return self.enqueue(specs, now=now) if self._schedules.advance([advance])[0] else None


class World:
    """What a namespace has to be like, by the models.

    Args:
        mode: How it is opened.
        absent: The roles that the backend does not offer.

    Attributes:
        stores: Answers as the stores of a backend have to.
    """

    def __init__(self, mode: Mode, absent: frozenset[Role] = frozenset()) -> None:
        joined = mode is Mode.JOINED
        self._results, self._schedules = ResultsModel(), SchedulesModel()
        self._queue = _Queue(self._results if joined else None, self._schedules)
        self._events = None if joined else EventsModel()
        roles = {
            "task_queue": self._queue,
            "results": self._results,
            "events": self._events,
            "schedules": self._schedules,
        }
        self.stores = cast("Stores", _Roles({name: _Storage(model) for name, model in roles.items()}, absent))

    def view(self) -> View:
        """Return what is stored."""
        log = self._queue.store.log if self._events is None else self._events.log
        return _view(
            tasks=self._queue.store.records.values(),
            events=[event for event in log if event is not None],
            outbox=self._queue.outbox(_ALL, now=END),
            results=self._results.stored.values(),
            schedules=self._schedules.stored.values(),
            paused=self._queue.store.paused,
        )


class _Roles:
    def __init__(self, roles: Mapping[str, _Storage], absent: frozenset[Role]) -> None:
        vars(self).update(roles)
        self.absent = absent


async def look(stores: Stores) -> View:
    """Return what a backend has stored in the roles that it offers."""
    queue, absent = stores.task_queue, stores.absent
    return _view(
        tasks=await queue.list(limit=_ALL, now=END),
        events=[] if Role.EVENT_STORAGE in absent else await stores.events.read(limit=_ALL),
        outbox=await queue.outbox(_ALL, now=END),
        results=[] if Role.RESULT_STORAGE in absent else await stores.results.list(limit=_ALL, now=END),
        schedules=[] if Role.SCHEDULE_STORAGE in absent else await stores.schedules.list(limit=_ALL),
        paused=[stats.name for stats in await queue.queues(now=END) if stats.paused],
    )


def _view(
    *,
    tasks: Iterable[Any],
    events: Iterable[Event],
    outbox: Iterable[Event],
    results: Iterable[ResultRecord],
    schedules: Iterable[Any],
    paused: Iterable[str],
) -> View:
    seen: View = {("task", task.id): attrs.evolve(task, seq=0) for task in tasks}
    seen |= {("event", e.task_id, e.version): attrs.evolve(e, seq=0, position=None) for e in events}
    seen |= {("outbox", e.task_id, e.version): attrs.evolve(e, seq=0, position=None) for e in outbox}
    seen |= {("result", result.id): attrs.evolve(result, seq=0) for result in results}
    seen |= {("schedule", schedule.id): schedule for schedule in schedules}
    return seen | {("paused", queue): True for queue in paused}


def differences(expected: View, actual: View) -> Iterator[str]:
    """Say what is not as expected."""
    for key in sorted(expected.keys() | actual.keys(), key=str):
        if not _same(key, expected.get(key), actual.get(key)):
            yield _told(key, expected.get(key), actual.get(key))


def torn(before: View, after: View, actual: View, steps: Steps) -> Iterator[str]:
    """Say what is neither as before an operation nor as after it, or half of a step that has to be whole."""
    found: dict[Hashable, dict[bool, str]] = {}
    for key in sorted(before.keys() | after.keys() | actual.keys(), key=str):
        old, new, now = before.get(key), after.get(key), actual.get(key)
        is_old, is_new = _same(key, old, now), _same(key, new, now)
        if not is_old and not is_new:
            yield _told(key, old, now) if old == new else f"{_name(key)} is {now!r}, expected is {old!r} or {new!r}"
        elif is_old != is_new:
            found.setdefault(_step(key, steps), {})[is_new] = _name(key)
    for states in found.values():
        if len(states) > 1:
            yield f"{states[True]} is written, but {states[False]} of the same step is not"


def _step(key: tuple[Any, ...], steps: Steps) -> Hashable:
    match steps:
        case Steps.ITEMS:
            return key
        case Steps.WHOLE:
            return None
        case Steps.TASKS:
            return str(key[1]).partition("@")[0]  # the next run of a series comes with the end of the last


def _same(key: tuple[Any, ...], expected: Any, actual: Any) -> bool:
    return same_outcomes([expected], [actual]) if key[0] == "result" else bool(expected == actual)


def _told(key: tuple[Any, ...], expected: Any, actual: Any) -> str:
    name = _name(key)
    if actual is None:
        return f"{name} is lost"
    if expected is None:
        return f"{name} is there, which nothing has made: {actual!r}"
    return f"{name} is {actual!r}, expected is {expected!r}"


def _name(key: tuple[Any, ...]) -> str:
    return " ".join(map(str, key))
