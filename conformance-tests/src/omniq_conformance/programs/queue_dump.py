"""Reads that compare a whole queue, with what it has joined, with the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.errors import SerializationError
from omniq.models.error import ErrorInfo
from omniq.models.record import TaskFilter
from omniq.models.status import TaskStatus, TaskView
from omniq_conformance.model.queue_store import TOLD_BY_THE_STORE
from omniq_conformance.programs.calls import Call, Together

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.result import ResultRecord
    from omniq_conformance.model.results import ResultsModel
    from omniq_conformance.model.task_queue import TaskQueueModel
    from omniq_conformance.programs.calls import Judge, Step

__all__ = ["QUEUES", "dump", "in_order_of", "same_outcomes"]

QUEUES = ("a", "b")
"""The names of queues that programs use."""

_PAGES = 4
"""Into how many pages, of at least two records, the whole is split."""


def dump(model: TaskQueueModel, results: ResultsModel | None, steps: Mapping[str, int], now: int) -> Iterator[Step]:
    """Yield reads of everything that is stored; `steps` as for `in_order_of`."""
    yield from _pages(model, now, desc=False)
    reads = [*_pages(model, now, desc=True), *_queue_reads(model, steps, now)]
    if model.store.events_joined:
        limit = len(model.store.log) + 1
        log = list(model.store.log)
        reads.append(Call("events", "read", (), {"limit": limit}, log, in_order_of(steps, limit)))
    if results is not None:
        reads += _outcomes(model, results, now)
    yield Together(reads)


def _queue_reads(model: TaskQueueModel, steps: Mapping[str, int], now: int) -> Iterator[Call]:
    ids = sorted(model.store.records)
    gone = sorted({record.id for record in model.store.removed} - set(ids))
    yield Call("task_queue", "get", ([*ids, *gone],), {}, model.get([*ids, *gone]))
    for state in (*TaskStatus, *TaskView):
        filter = TaskFilter(states=frozenset({state}))
        yield Call("task_queue", "count", (filter,), {"now": now}, model.count(filter, now=now))
    yield Call("task_queue", "queues", (), {"now": now}, model.queues(now=now))
    for queues in (QUEUES[:1], QUEUES[1:], QUEUES):
        yield Call("task_queue", "next_at", (queues,), {}, model.next_at(queues))
    limit = len(model.store.log) + 1
    # After the clock went back, entries from the future are there but not old enough to be returned at `now`.
    latest = max((event.at for event in model.store.log), default=now)
    waiting = model.outbox(limit, now=latest)
    yield Call("task_queue", "outbox", (limit,), {"now": latest}, waiting, in_order_of(steps, limit))


def _outcomes(model: TaskQueueModel, results: ResultsModel, now: int) -> Iterator[Call]:
    known = sorted({record.id for record in model.store.removed} | set(model.store.records))
    yield Call("results", "get", (known,), {"now": now}, results.get(known, now=now), same_outcomes)
    listed = results.list(limit=1000, now=now)
    yield Call("results", "list", (), {"limit": 1000, "now": now}, listed, same_outcomes)


def _pages(model: TaskQueueModel, now: int, *, desc: bool) -> Iterator[Call]:
    after, limit = None, max(2, len(model.store.records) // _PAGES)
    while True:
        page = model.list(after=after, limit=limit, desc=desc, now=now)
        kwargs = {"after": after, "limit": limit, "desc": desc, "now": now}
        yield Call("task_queue", "list", (), kwargs, page)
        if not page:
            return
        after = page[-1].seq


def in_order_of(steps: Mapping[str, int], limit: int) -> Judge:
    """Return a judge of events: those of one call may come in any order of tasks, everything else is in order.

    Args:
        steps: In which call each event (by its id) was made.
        limit: How many events were asked for; the expected ones are all that there are.
    """

    def judge(expected: Sequence[Event], actual: Sequence[Event]) -> bool:
        wanted = {event.event_id: event for event in expected}
        calls = [steps[event.event_id] for event in actual if event.event_id in wanted]
        if len(actual) != min(limit, len(expected)) or len(calls) != len(actual):
            return False
        versions: dict[tuple[str, int], int] = {}
        for event in actual:
            if event != wanted.pop(event.event_id, None) or event.version <= versions.get(
                (event.task_id, event.seq), 0
            ):
                return False
            versions[event.task_id, event.seq] = event.version
        left = min((steps[id] for id in wanted), default=None)
        return calls == sorted(calls) and (not calls or left is None or left >= calls[-1])

    return judge


def same_outcomes(expected: Sequence[ResultRecord | None], actual: Sequence[ResultRecord | None]) -> bool:
    """Tell whether outcomes are the expected ones, apart from the words for those that no worker reported."""
    return len(expected) == len(actual) and all(map(_same_outcome, expected, actual))


def _same_outcome(expected: ResultRecord | None, actual: ResultRecord | None) -> bool:
    if expected is None or actual is None:
        return expected is actual
    if expected.value is None:
        expected, actual = attrs.evolve(expected, codec=""), attrs.evolve(actual, codec="")
    if expected.error != TOLD_BY_THE_STORE:
        return expected == actual
    try:
        ErrorInfo.from_json(actual.error or "")
    except SerializationError:
        return False
    return attrs.evolve(expected, error=None) == attrs.evolve(actual, error=None)
