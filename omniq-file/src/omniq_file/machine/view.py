"""What the log says, in memory, and the effects that change it.

Every effect is one method of `View`. A decision applies its effects at once and keeps the list of them; if they cannot
be appended to the log, `roll_back` takes them back. An effect that was read from the log goes the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.status import TERMINAL, TaskStatus
from omniq_file.machine.event_table import EventTable
from omniq_file.machine.queue_index import QueueIndex
from omniq_file.machine.result_table import ResultTable
from omniq_file.machine.retention import Retention
from omniq_file.machine.stored import Row, StoredBody, StoredResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omniq.models.record import TaskRecord
    from omniq.models.result import ResultRecord
    from omniq.models.schedule import Schedule

__all__ = ["Noise", "View"]


class Noise:
    """Whom changes may concern.

    Attributes:
        work: Queues in which work may have come up.
        done: Ids of tasks that ended, or whose expiry has to be minded again.
        events: Whether there are new events.
    """

    __slots__ = ("done", "events", "work")

    def __init__(self) -> None:
        self.work: set[str] = set()
        self.done: set[str] = set()
        self.events = False

    def __bool__(self) -> bool:
        return bool(self.work or self.done or self.events)


class View:
    """All records and their indexes. Used by one thread.

    Attributes:
        tasks: Tasks by id.
        by_seq: Tasks by seq.
        order: The seqs of all tasks in ascending order, with those of removed ones among them.
        queues: The queues that have had tasks.
        holders: The live task that has a unique key, by (queue, key).
        paused: The paused queues.
        outbox: Rows that other storages have to hear of, by running number.
        owed: The number of each of these rows, by (seq, version); how many a task has, by seq.
        retention: Ended tasks by the time of their end.
        events: The lifecycle log.
        results: Outcomes.
        schedules: Schedules by id.
        blobs: How many records need a blob, by its name.
        dropped: Blobs that nobody needs any more, since somebody last looked.
        seq: The seq of the newest task.
        clock: No entry of the log was written after this time, by its writer's clock.
        noise: Since somebody last looked.
        dirty: Tasks and results that changed, with the number of the entry that did it.
        entry: The number of the entry that is being folded or decided.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, TaskRecord] = {}
        self.by_seq: dict[int, TaskRecord] = {}
        self.order: list[int] = []
        self.queues: dict[str, QueueIndex] = {}
        self.holders: dict[tuple[str, str], TaskRecord] = {}
        self.paused: set[str] = set()
        self.outbox: dict[int, Row] = {}
        self.owed: dict[tuple[int, int], int] = {}
        self.owing: dict[int, int] = {}
        self.retention = Retention()
        self.events = EventTable()
        self.results = ResultTable()
        self.schedules: dict[str, Schedule] = {}
        self.blobs: dict[str, int] = {}
        self.dropped: list[str] = []
        self.seq = 0
        self.clock = 0
        self.noise = Noise()
        self.dirty: dict[str, int] = {}
        self.entry = 0
        self._places = 0
        self._undo: list[tuple[Callable[..., object], tuple[Any, ...]]] | None = None

    # Decisions that may be taken back

    def begin(self) -> int:
        """Keep what has to be done to take effects back, and return how much there is of that."""
        if self._undo is None:
            self._undo = []
        return len(self._undo)

    def roll_back(self, mark: int = 0) -> None:
        """Take back every effect since the mark."""
        undo, self._undo = self._undo or [], None
        while len(undo) > mark:
            function, arguments = undo.pop()
            function(*arguments)
        self._undo = undo if mark else None
        self.outbox = dict(sorted(self.outbox.items()))

    def keep(self) -> None:
        """Make every effect final."""
        self._undo = None

    # Effects

    def base(self, fields: dict[str, Any]) -> None:
        """Begin with the counters of a checkpoint."""
        self.seq = fields["seq"]
        self.clock = fields["clock"]
        self._places = fields["places"]
        self.events.start_at(fields["events"])

    def new(self, task: TaskRecord) -> None:
        """Add a task."""
        self.seq = max(self.seq, task.seq)
        self.tasks[task.id] = self.by_seq[task.seq] = task
        self.order.append(task.seq)
        if type(task.body) is StoredBody:
            self._refer(task.body.blob)
        self._enter(task)
        if self._undo is not None:
            self._undo.append((self._remove, (task,)))

    def set(self, seq: int, changes: dict[str, Any]) -> None:
        """Change fields of a task."""
        task = self.by_seq[seq]
        if self._undo is not None:
            self._undo.append((self.set, (seq, {name: getattr(task, name) for name in changes})))
        if "state" in changes or "ready_at" in changes:
            self._leave(task)
            for name, value in changes.items():
                setattr(task, name, value)
            self._enter(task)
            return
        for name, value in changes.items():
            setattr(task, name, value)
        self.dirty[task.id] = self.entry
        if "lease_until" in changes:
            self.queues[task.queue].lease(task)

    def gone(self, seqs: Iterable[int]) -> None:
        """Remove tasks."""
        for seq in seqs:
            task = self.by_seq[seq]
            self._remove(task)
            if self._undo is not None:
                self._undo.append((self._bring_back, (task,)))

    def event(self, row: Iterable[Any]) -> None:
        """Append an event to the lifecycle log."""
        self.events.add(tuple(row))
        self.noise.events = True
        if self._undo is not None:
            self._undo.append((self.events.take_back, ()))

    def skip(self, count: int) -> None:
        """Leave out the numbers of events that were removed."""
        self.events.skip(count)

    def trim(self, spans: list[list[int]]) -> None:
        """Remove events."""
        gone = self.events.remove(spans)
        if self._undo is not None:
            self._undo.append((self.events.put_back, (gone,)))

    def owe(self, fields: Iterable[Any]) -> None:
        """Add a transition that other storages have to hear of."""
        self._places += 1
        row = tuple(fields)
        self._owe(self._places, row)
        if self._undo is not None:
            self._undo.append((self.ack, ([(row[1], row[2])],)))

    def ack(self, entries: Iterable[tuple[int, int]]) -> None:
        """Forget transitions, by seq and version."""
        for seq, version in entries:
            place = self.owed.pop((seq, version), None)
            if place is None:
                continue
            row = self.outbox.pop(place)
            self.owing[seq] -= 1
            if not self.owing[seq]:
                del self.owing[seq]
            if self._undo is not None:
                self._undo.append((self._owe, (place, row)))

    def result(self, record: ResultRecord) -> None:
        """Store an outcome in place of what is there."""
        self._set_result(record.id, record)

    def drop_results(self, ids: Iterable[str]) -> None:
        """Remove outcomes."""
        for task_id in ids:
            self._set_result(task_id, None)

    def schedule(self, schedule: Schedule) -> None:
        """Store a schedule in place of what is there."""
        self._set_schedule(schedule.id, schedule)

    def drop_schedules(self, ids: Iterable[str]) -> None:
        """Remove schedules."""
        for schedule_id in ids:
            self._set_schedule(schedule_id, None)

    def pause(self, queues: Iterable[str]) -> None:
        """Pause queues."""
        self._set_paused([name for name in queues if name not in self.paused], paused=True)

    def resume(self, queues: Iterable[str]) -> None:
        """Resume queues."""
        self._set_paused([name for name in queues if name in self.paused], paused=False)

    # Inside

    def places(self) -> int:
        """Return the number of the newest row of the outbox."""
        return self._places

    def _enter(self, task: TaskRecord) -> None:
        """Put a task into the indexes of its state."""
        index = self.queues.get(task.queue)
        if index is None:
            index = self.queues[task.queue] = QueueIndex(task.queue)
        index.enter(task)
        self.dirty[task.id] = self.entry
        if task.state in TERMINAL:
            self.retention.add(task)
            self.noise.done.add(task.id)
            return
        if task.unique_key is not None:
            self.holders[task.queue, task.unique_key] = task
        if task.state is TaskStatus.PENDING:
            self.noise.work.add(task.queue)
            if task.expires_at is not None:
                self.noise.done.add(task.id)

    def _leave(self, task: TaskRecord) -> None:
        """Take a task out of the indexes of its state."""
        self.queues[task.queue].leave(task)
        if task.unique_key is not None:
            place = task.queue, task.unique_key
            if self.holders.get(place) is task:
                del self.holders[place]

    def _remove(self, task: TaskRecord) -> None:
        self._leave(task)
        del self.tasks[task.id], self.by_seq[task.seq]
        if self.order[-1] == task.seq:
            self.order.pop()
        elif len(self.order) > 2 * len(self.by_seq) + 1024:
            self.order = sorted(self.by_seq)
        self.dirty[task.id] = self.entry
        self.noise.done.add(task.id)
        if not self.queues[task.queue].total:
            del self.queues[task.queue]
        if type(task.body) is StoredBody:
            self._release(task.body.blob)

    def _bring_back(self, task: TaskRecord) -> None:
        self.tasks[task.id] = self.by_seq[task.seq] = task
        if type(task.body) is StoredBody:
            self._refer(task.body.blob)
        self.order = sorted(self.by_seq)
        self._enter(task)

    def _owe(self, place: int, row: Row) -> None:
        self.outbox[place] = row
        self.owed[row[1], row[2]] = place
        self.owing[row[1]] = self.owing.get(row[1], 0) + 1

    def _set_result(self, task_id: str, record: ResultRecord | None) -> None:
        old = self.results.by_id.get(task_id)
        if type(record) is StoredResult:
            self._refer(record.blob)
        if type(old) is StoredResult:
            self._release(old.blob)
        if record is not None:
            self.results.put(record)
        elif old is not None:
            del self.results.by_id[task_id]
        self.dirty[task_id] = self.entry
        if self._undo is not None:
            self._undo.append((self._set_result, (task_id, old)))

    def _set_schedule(self, schedule_id: str, schedule: Schedule | None) -> None:
        old = self.schedules.pop(schedule_id, None)
        for each in (schedule, old):
            if each is not None and type(each.body) is StoredBody:
                (self._refer if each is schedule else self._release)(each.body.blob)
        if schedule is not None:
            self.schedules[schedule_id] = schedule
        if self._undo is not None:
            self._undo.append((self._set_schedule, (schedule_id, old)))

    def _set_paused(self, names: list[str], *, paused: bool) -> None:
        if paused:
            self.paused.update(names)
        else:
            self.paused.difference_update(names)
            self.noise.work.update(names)
        if self._undo is not None:
            self._undo.append((self._take_back_paused, (names, not paused)))

    def _take_back_paused(self, names: list[str], paused: bool) -> None:  # noqa: FBT001 - called by the undo list
        self._set_paused(names, paused=paused)

    def _refer(self, blob: str) -> None:
        self.blobs[blob] = self.blobs.get(blob, 0) + 1

    def _release(self, blob: str) -> None:
        self.blobs[blob] -= 1
        if not self.blobs[blob]:
            del self.blobs[blob]
            self.dropped.append(blob)
