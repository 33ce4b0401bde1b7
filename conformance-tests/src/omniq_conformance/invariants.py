"""The invariants of the contract (section 4) that can be seen in the records and the event log of a store at rest.

Each check returns what is wrong, one sentence each, so that a failure names everything at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import attrs

from omniq.models.event import EventType
from omniq.models.status import LIVE, TERMINAL, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import TaskRecord

__all__ = ["chains", "check_chain", "check_conservation", "check_fold", "check_log_order", "check_records"]

_P, _R = TaskStatus.PENDING, TaskStatus.RUNNING
_C, _F, _X = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


@attrs.frozen
class _Edge:
    """How a transition may change a task: attempts and epoch by one of these amounts."""

    to: TaskStatus
    attempts: int = 0
    epochs: tuple[int, ...] = (0,)


_EDGES: Mapping[tuple[TaskStatus | None, EventType], _Edge] = {
    (None, EventType.ENQUEUED): _Edge(_P),
    (_P, EventType.STARTED): _Edge(_R, 1, (1,)),
    (_P, EventType.EXPIRED): _Edge(_F, 0, (1,)),
    (_P, EventType.CANCELLED): _Edge(_X, 0, (1,)),
    (_R, EventType.CANCEL_REQUESTED): _Edge(_R),
    (_R, EventType.COMPLETED): _Edge(_C),
    (_R, EventType.FAILED): _Edge(_F, 0, (0, 1)),
    (_R, EventType.CANCELLED): _Edge(_X, 0, (0, 1)),
    (_R, EventType.RETRYING): _Edge(_P),
    (_R, EventType.LEASE_EXPIRED): _Edge(_P),
    (_R, EventType.RELEASED): _Edge(_P, -1),
}
_UNLESS_CANCELLED = {EventType.FAILED, EventType.RETRYING, EventType.LEASE_EXPIRED, EventType.RELEASED}
"""What does not happen to a run whose cancel was requested."""


def check_records(records: Sequence[TaskRecord]) -> Iterator[str]:
    """Check I4, I6, I13 and I14, and that ids and numbers are unique."""
    for record in records:
        name = f"task {record.id!r}"
        if not 0 <= record.attempts <= record.max_attempts or record.attempts > record.epoch:
            yield f"I4: {name} has {record.attempts} attempts of {record.max_attempts} at epoch {record.epoch}"
        running = record.state is _R
        if running != (record.lease_until is not None) or running != (record.worker is not None):
            yield f"I13: {name} is {record.state} with lease {record.lease_until} and worker {record.worker!r}"
        if (record.state in TERMINAL) != (record.finished_at is not None):
            yield f"I13: {name} is {record.state} with finished_at {record.finished_at}"
        if record.cancel_requested and not running:
            yield f"I13: {name} is {record.state} with a requested cancel"
    live = [record for record in records if record.state in LIVE]
    yield from _repeated("I6: unique key", [(r.queue, r.unique_key) for r in live if r.unique_key is not None])
    yield from _repeated("I14: live runs of series", [r.series_id for r in live if r.series_id is not None])
    yield from _repeated("id", [record.id for record in records])
    yield from _repeated("seq", [record.seq for record in records])


def _repeated(what: str, names: Iterable[object]) -> Iterator[str]:
    for name, number in Counter(names).items():
        if number > 1:
            yield f"{what} {name!r} is there {number} times"


def chains(events: Iterable[Event]) -> dict[tuple[str, int], list[Event]]:
    """Return the events of each task, by (id, seq), in the order of their versions."""
    found: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in events:
        found[event.task_id, event.seq].append(event)
    for chain in found.values():
        chain.sort(key=lambda event: event.version)
    return dict(found)


def check_chain(chain: Sequence[Event]) -> Iterator[str]:
    """Check I1, I7 and the gapless versions of I8 on the events of one task, and that every edge is a legal one."""
    state: TaskStatus | None = None
    attempts = epoch = 0
    cancel_requested = False
    for place, event in enumerate(chain):
        name = f"event {event.event_id} ({event.type})"
        if event.version != place + 1:
            yield f"I8: {name} follows version {place}"
            return
        edge = _EDGES.get((state, event.type))
        if event.type is EventType.REDRIVEN and state in {_F, _X}:
            edge = _Edge(_P, -attempts, (1,))
        if edge is None:
            yield f"I7: {name} is impossible for a task that is {state}"
            return
        if cancel_requested and event.type in _UNLESS_CANCELLED | {EventType.CANCEL_REQUESTED}:
            yield f"I7: {name} although a cancel was requested"
        if event.state is not edge.to or event.attempt != attempts + edge.attempts:
            yield f"I8: {name} leaves {event.state}, attempt {event.attempt} after {state}, attempt {attempts}"
        if event.epoch - epoch not in edge.epochs:
            yield f"I1: {name} leaves epoch {event.epoch} after {epoch}"
        state, attempts, epoch = event.state, event.attempt, event.epoch
        cancel_requested = state is _R and (cancel_requested or event.type is EventType.CANCEL_REQUESTED)


def check_fold(record: TaskRecord, chain: Sequence[Event]) -> Iterator[str]:
    """Check I8: folding the events of a task gives its record, apart from lease_until and nonce."""
    folded: dict[str, object] = {"cancel_requested": False}
    for event in chain:
        folded |= {"state": event.state, "attempts": event.attempt, "epoch": event.epoch, "version": event.version}
        folded["worker"] = event.worker if event.state is _R else None
        folded["finished_at"] = event.at if event.state in TERMINAL else None
        if event.ready_at is not None:
            folded["ready_at"] = event.ready_at
        if event.error is not None:
            folded["error"] = event.error
        folded |= _told_by_type(event)
    for name, value in folded.items():
        if getattr(record, name) != value:
            yield f"I8: task {record.id!r} has {name}={getattr(record, name)!r}, but its events say {value!r}"


def _told_by_type(event: Event) -> dict[str, object]:
    match event.type:
        case EventType.ENQUEUED:
            return {"enqueued_at": event.at, "queue": event.queue, "seq": event.seq}
        case EventType.STARTED:
            return {"started_at": event.at, "cancel_requested": False}
        case EventType.REDRIVEN:
            return {"error": None, "cancel_requested": False}
        case EventType.CANCEL_REQUESTED:
            return {"cancel_requested": True}
        case _:
            return {"cancel_requested": False}


def check_conservation(
    created: Iterable[str], records: Sequence[TaskRecord], events: Iterable[Event], removed: Iterable[str] = ()
) -> Iterator[str]:
    """Check I3: what was created is there or was purged, and nothing else is; runs of series count as created.

    Args:
        created: The ids for which an enqueue answered `created`.
        records: Every stored task.
        events: Every event.
        removed: The ids that were purged.
    """
    expected, stored, gone = set(created), {record.id for record in records}, set(removed)
    expected |= {record.id for record in records if record.series_id not in {None, record.id}}
    for id in sorted(expected - stored - gone):
        yield f"I3: task {id!r} was created and is lost"
    for id in sorted(stored - expected):
        yield f"I3: task {id!r} is there though nobody was told that it was created"
    told = {event.task_id for event in events}
    for id in sorted(stored - told):
        yield f"I8: task {id!r} has no events"
    for id in sorted(told - expected):
        yield f"I3: there are events of task {id!r}, which was never created"


def check_log_order(events: Sequence[Event], keys: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Check I6 at every moment, and the order of versions, along the log as it was written.

    Args:
        events: The log in its own order.
        keys: (queue, unique key) of the tasks that have one, by id.
    """
    holders: dict[tuple[str, str], str] = {}
    versions: dict[tuple[str, int], int] = {}
    for event in events:
        before = versions.get((event.task_id, event.seq), 0)
        if event.version != before + 1:
            yield f"I8: event {event.event_id} comes after version {before} in the log"
        versions[event.task_id, event.seq] = event.version
        key = keys.get(event.task_id)
        if key is None:
            continue
        if event.state in LIVE and holders.setdefault(key, event.task_id) != event.task_id:
            yield f"I6: {event.event_id} ({event.type}) is live while {holders[key]!r} holds the unique key {key!r}"
        elif event.state in TERMINAL and holders.get(key) == event.task_id:
            del holders[key]
