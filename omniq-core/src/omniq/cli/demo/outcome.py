"""What the demo found out, and whether it is what it should be."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from omniq.cli.demo.stage import SCHEDULE_RUNS
from omniq.cli.demo.tasks import REFUSALS
from omniq.models.event import Event, EventFilter, EventType
from omniq.models.record import TaskFilter, TaskRecord
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omniq.cli.demo.files import Selection
    from omniq.cli.demo.stage import Piece, Stage
    from omniq.storage.factory import Stores

__all__ = ["Check", "Outcome", "collect", "verify"]

_PAGE = 1000


@attrs.frozen(kw_only=True)
class Outcome:
    """Everything that the stores say after the run.

    Attributes:
        records: The demo's tasks but the sparks, by id.
        sparks: How many tasks of the speed test are in which state.
        events: The events of all of them, in order.
    """

    records: dict[str, TaskRecord]
    sparks: Counter[str]
    events: tuple[Event, ...]

    def states(self) -> Counter[str]:
        """Return how many tasks are in which state, without the sparks."""
        return Counter(str(record.state) for record in self.records.values())

    def timeline(self, task_id: str) -> list[Event]:
        """Return the events of one task."""
        return [event for event in self.events if event.task_id == task_id]

    def spark_seconds(self, stage: Stage) -> float:
        """Return how long the speed test took, from the first enqueue to the last completion, by the store's clock."""
        times = [event.at for event in self.events if event.queue == stage.spark_queue]
        return max((max(times) - min(times)) / 1000, 0.001) if times else 0.0

    def fired(self, stage: Stage) -> list[TaskRecord]:
        """Return the tasks that the schedule enqueued."""
        enqueued = {str(piece.job) for piece in stage.pieces} | {str(stage.cancelled)}
        return [record for task_id, record in self.records.items() if task_id not in enqueued]


@attrs.frozen
class Check:
    """One thing that the demo claims, and whether it holds."""

    claim: str
    holds: bool
    detail: str = ""


async def collect(stores: Stores, stage: Stage) -> Outcome:
    """Read back what became of the demo's tasks."""
    queue = stores.task_queue
    records = [record async for record in _records(stores, stage.queue)]
    sparks = TaskFilter(queues=frozenset({stage.spark_queue}))
    counts = {str(state): await queue.count(attrs.evolve(sparks, states=frozenset({state}))) for state in TaskStatus}
    names = frozenset({stage.queue, stage.spark_queue})
    events: list[Event] = []
    position = None
    while page := await stores.events.read(after=position, limit=_PAGE, filter=EventFilter(queues=names)):
        events += page
        position = page[-1].position
    return Outcome(
        records={record.id: record for record in records},
        sparks=Counter({state: count for state, count in counts.items() if count}),
        events=tuple(events),
    )


async def _records(stores: Stores, queue_name: str) -> AsyncIterator[TaskRecord]:
    after = None
    wanted = TaskFilter(queues=frozenset({queue_name}))
    while page := await stores.task_queue.list(wanted, after=after, limit=_PAGE):
        for record in page:
            yield record
        after = page[-1].seq


def verify(stage: Stage, outcome: Outcome, selection: Selection, sparks: int) -> list[Check]:
    """Check the results against direct computation, and the log against the records."""
    by_kind: dict[str, list[Piece]] = {}
    for piece in stage.pieces:
        by_kind.setdefault(piece.kind, []).append(piece)
    # A file that somebody changed meanwhile proves nothing.
    hashed = [piece for piece in by_kind["hash"] if not selection.changed(piece.subject)]
    packed = [piece for piece in by_kind["archive"] if not selection.changed(piece.subject)]
    wrong = [selection.name(piece.subject) for piece in hashed if not _hash_is_right(piece)]
    spoilt = [piece.subject.name for piece in packed if not _archive_is_right(piece)]
    failed = [f"{piece.kind}: {piece.error}" for piece in stage.pieces if piece.error]
    return [
        Check("every task returned its result", not failed, "; ".join(failed[:3])),
        Check(f"{len(hashed)} sums equal those computed here", not wrong, ", ".join(wrong[:3])),
        Check(f"{len(packed)} archives hold the bytes of the files", not spoilt, ", ".join(spoilt[:3])),
        _retried(by_kind["index"][0], outcome),
        _urgent_was_first(by_kind["urgent"][0], outcome),
        _cancelled(stage, outcome),
        Check("two enqueues under one unique key are one task", stage.twins[0] == stage.twins[1]),
        _fired(stage, outcome),
        Check(f"{sparks:,} tasks of the speed test are completed", outcome.sparks[TaskStatus.COMPLETED] == sparks),
        _log_is_complete(outcome, sparks),
    ]


def _hash_is_right(piece: Piece) -> bool:
    content = piece.subject.read_bytes()
    return bool(piece.value == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})


def _archive_is_right(piece: Piece) -> bool:
    if not piece.value:
        return False
    with zipfile.ZipFile(piece.value["path"]) as archive:
        same = all(archive.read(name) == (piece.subject / name).read_bytes() for name in archive.namelist())
        return same and len(archive.namelist()) == piece.value["files"]


def _retried(piece: Piece, outcome: Outcome) -> Check:
    retries = sum(event.type is EventType.RETRYING for event in outcome.timeline(str(piece.job)))
    return Check(
        f"the flaky step failed {REFUSALS} times and then succeeded",
        piece.value == REFUSALS + 1 and retries == REFUSALS,
        f"attempt {piece.value}, {retries} retries",
    )


def _urgent_was_first(piece: Piece, outcome: Outcome) -> Check:
    started = [event for event in outcome.events if event.type is EventType.STARTED]
    first = min((event.at for event in started), default=0)
    own = min((event.at for event in started if event.task_id == piece.job.id), default=None)
    late = "never" if own is None else f"{own - first} ms after the first"
    return Check("no task started before the urgent one, which was enqueued last", own == first, late)


def _cancelled(stage: Stage, outcome: Outcome) -> Check:
    record = outcome.records.get(str(stage.cancelled))
    started = any(event.type is EventType.STARTED for event in outcome.timeline(str(stage.cancelled)))
    state = record.state if record else None
    return Check("the cancelled task never started", state is TaskStatus.CANCELLED and not started, f"{state}")


def _fired(stage: Stage, outcome: Outcome) -> Check:
    fired = outcome.fired(stage)
    done = sum(record.state is TaskStatus.COMPLETED for record in fired)
    claim = f"the schedule fired {SCHEDULE_RUNS} times, and each time its task ran once"
    return Check(claim, len(fired) == done == SCHEDULE_RUNS, f"{len(fired)} fired, {done} ran")


def _log_is_complete(outcome: Outcome, sparks: int) -> Check:
    versions: dict[str, list[int]] = {}
    for event in outcome.events:
        if event.seq:  # those of schedules have none
            versions.setdefault(event.task_id, []).append(event.version)
    broken = [task_id for task_id, found in versions.items() if found != list(range(1, len(found) + 1))]
    missing = len(outcome.records) + sparks - len(versions)
    return Check(
        f"the event log tells the whole life of {len(outcome.records) + sparks:,} tasks",
        not broken and not missing,
        f"{len(broken)} with gaps, {missing} missing",
    )
