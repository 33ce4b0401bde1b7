"""All tasks and every change of one: the synchronous heart of the memory task queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.error import ErrorInfo
from omniq.models.record import Enqueued, Grant, TaskRecord, Token
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage import transitions
from omniq_memory.event_log import pack
from omniq_memory.journal import Outbox
from omniq_memory.queue_index import NEVER, QueueIndex, take_ready
from omniq_memory.retention import Retention
from omniq_memory.waiting import Board

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from omniq.models.record import Completion, SettleReply, TaskSpec
    from omniq.models.result import ResultRecord
    from omniq_memory.journal import Journal

__all__ = ["TaskTable"]

_PENDING, _RUNNING, _COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED

# A NamedTuple's own constructor is a Python function and takes three times as long.
_new_tuple: Callable[..., Any] = tuple.__new__


class TaskTable:
    """Tasks, their order and their indexes. Used under the lock of the state.

    `create`, `claim` and `complete` repeat what `omniq.storage.transitions` says, because every task passes through
    them; test_transitions.py compares. Everything else goes through `change`.

    Attributes:
        records: All tasks by id.
        order: All tasks by seq, with purged ones among them until `forget` clears them away.
        queues: The queues that have tasks or are paused.
        holders: The live task that has a unique key, by (queue, key).
        outbox: What other storages still have to hear of.
        retention: The ended tasks by the time of their end.
        work: Who waits for work, by queue.
        done: Who waits for the end of a task, by id.
    """

    def __init__(self) -> None:
        self.records: dict[str, TaskRecord] = {}
        self.order: list[TaskRecord] = []
        self.queues: dict[str, QueueIndex] = {}
        self.holders: dict[tuple[str, str], TaskRecord] = {}
        self.outbox = Outbox()
        self.retention = Retention()
        self.work = Board()
        self.done = Board()
        self._seq = 0
        self._gone = 0  # purged tasks that are still in `order`

    def queue(self, name: str) -> QueueIndex:
        """Return the indexes of a queue, made if it is new."""
        index = self.queues.get(name)
        if index is None:
            index = self.queues[name] = QueueIndex(name)
        return index

    def known(self, names: Iterable[str]) -> list[QueueIndex]:
        """Return the indexes of those of the queues that exist, each once."""
        queues = self.queues
        return [queues[name] for name in dict.fromkeys(names) if name in queues]

    # Producers

    def enqueue(self, spec: TaskSpec, now: int, journal: Journal) -> Enqueued:
        """Add a task, or name the one in its place; an expired holder of its unique key is ended first."""
        if spec.unique_key is not None and spec.id not in self.records:
            holder = self.holders.get((spec.queue, spec.unique_key))
            if holder is not None and transitions.is_expired(holder, now):
                self.change(holder, transitions.expire(holder, now), now, journal)
        return self.create(spec, now, journal)

    def create(self, spec: TaskSpec, now: int, journal: Journal) -> Enqueued:
        """Add a task unless its id is known or its unique key is held."""
        task_id, name = spec.id, spec.queue
        if task_id in self.records:
            return Enqueued(task_id, created=False)
        key = spec.unique_key
        if key is not None and (name, key) in self.holders:
            return Enqueued(self.holders[name, key].id, created=False)
        self._seq = seq = self._seq + 1
        record = _record(spec, seq, now)
        self.records[task_id] = record
        self.order.append(record)
        if key is not None:
            self.holders[name, key] = record
        index = self.queues.get(name) or self.queue(name)
        index.total += 1
        lane = index.lanes.get(record.priority) or index.lane(record.priority)
        ready_at = record.ready_at
        lane.push(ready_at, seq, record, now)
        if record.expires_at is not None:
            index.expiring.push(record.expires_at, record)
        journal.add((task_id, seq, 1, "ENQUEUED", now, name, "PENDING", 0, 0, ready_at, None, None, None))
        if self.work.waiting:
            self.work.wake(name)
        return _new_tuple(Enqueued, (task_id, True))  # type: ignore[no-any-return]

    # Workers

    def claim(  # noqa: PLR0917 - called by one place, with everything that a claim is
        self, names: Sequence[str], limit: int, worker: str, lease_ms: int, nonce: str, now: int, journal: Journal
    ) -> list[Grant]:
        """Recover, then start the best ready tasks."""
        queues = self.known(names)
        if any(queue.has_overdue(now) for queue in queues):
            self.recover(queues, now, journal)
        lease_until = now + lease_ms
        add, all_queues = journal.add, self.queues
        grants: list[Grant] = []
        for record in take_ready([queue for queue in queues if not queue.paused], limit, now):
            task_id, seq, name = record.id, record.seq, record.queue
            record.epoch = epoch = record.epoch + 1
            record.attempts = attempts = record.attempts + 1
            record.version = version = record.version + 1
            record.nonce = nonce
            record.lease_until = lease_until
            record.worker = worker
            record.started_at = now
            all_queues[name].running[seq] = record
            add((task_id, seq, version, "STARTED", now, name, "RUNNING", attempts, epoch, None, worker, None, None))
            grants.append(_grant(record, _new_tuple(Token, (seq, epoch, nonce)), lease_until))
        for queue in queues:
            if lease_until < queue.lease_floor and queue.running:
                queue.lease_floor = lease_until
        return grants

    def held(self, worker: str, nonce: str) -> list[Grant]:
        """Return what is still running under a claim, in claim order."""
        running = [record for queue in self.queues.values() for record in queue.running.values()]
        held = [record for record in running if record.worker == worker and record.nonce == nonce]
        held.sort(key=lambda record: (-record.priority, record.ready_at, record.seq))
        return [_grant(record, record.token, record.lease_until or 0) for record in held]

    def complete(self, item: Completion, now: int, journal: Journal) -> SettleReply:
        """End a run that succeeded."""
        task_id, token, result = item
        record = self.records.get(task_id)
        if record is None or not transitions.is_current(record, token):
            return transitions.settled_reply(record, token)
        if record.series_id is not None:
            self.change(record, transitions.complete(record, now), now, journal, result)
            return "ok"
        seq, epoch, name, worker = record.seq, record.epoch, record.queue, record.worker
        started_at = record.started_at
        record.state = _COMPLETED
        record.version = version = record.version + 1
        record.lease_until = record.worker = None
        record.cancel_requested = False
        record.finished_at = now
        duration = None if started_at is None else now - started_at
        attempts = record.attempts
        journal.add(
            (task_id, seq, version, "COMPLETED", now, name, "COMPLETED", attempts, epoch, None, worker, None, duration)
        )
        index = self.queues[name]
        del index.running[seq]
        index.ended["COMPLETED"] += 1
        self.retention.fresh.append(record)
        if record.unique_key is not None:
            self._release(record)
        if result is not None and journal.results is not None:
            value, codec, ttl_ms = result.value, result.codec, result.ttl_ms
            journal.results.put(task_id, seq, epoch, "COMPLETED", value, codec, result.error, ttl_ms, now)
        if self.done.waiting:
            self.done.wake(task_id)
        return "ok"

    def recover(self, queues: Sequence[QueueIndex], now: int, journal: Journal) -> list[tuple[str, TaskStatus]]:
        """Take over every stale task and end every expired one."""
        answers: list[tuple[str, TaskStatus]] = []
        stale: list[tuple[int, int, TaskRecord]] = []
        for queue in queues:
            if queue.lease_floor <= now:
                leases = [(record.lease_until or 0, seq, record) for seq, record in queue.running.items()]
                stale += [lease for lease in leases if lease[0] <= now]
                queue.lease_floor = min((lease[0] for lease in leases if lease[0] > now), default=NEVER)
        for _, _, record in sorted(stale, key=_by_time):
            self.change(record, transitions.recover(record, now), now, journal)
            answers.append((record.id, record.state))
        expired: list[tuple[int, int, TaskRecord]] = []
        for queue in queues:
            while (head := queue.expiring.head()) is not None and head[0] <= now:
                queue.expiring.pop()
                expired.append(head)
        for _, _, record in sorted(expired, key=_by_time):
            if record.state is _PENDING:  # one task may have had two entries
                self.change(record, transitions.expire(record, now), now, journal)
                answers.append((record.id, record.state))
        return answers

    # Any change

    def change(
        self,
        record: TaskRecord,
        step: transitions.Step,
        now: int,
        journal: Journal,
        result: ResultRecord | None = None,
    ) -> TaskStatus:
        """Apply a transition with all that follows from it, and return the new state.

        Args:
            record: The task.
            step: The transition, made from the record as it is.
            now: The time of the step.
            journal: Takes the event, and the result if the task ends.
            result: What the worker reports; stored with the state that the task really gets.
        """
        follower = transitions.successor(record, step, now)
        before = record.state
        journal.add(pack(transitions.apply(record, step, now)))
        state = record.state
        index = self.queues[record.queue]
        if state is not before:
            if before is _RUNNING:
                del index.running[record.seq]
            elif before is _PENDING:
                index.lane(record.priority).note_void()
            else:
                index.ended[before.value] -= 1
                if record.unique_key is not None:
                    self.holders[record.queue, record.unique_key] = record
            if state is _PENDING:
                self._wait(record, index, now)
            elif state in TERMINAL:
                self._end(record, index, now, journal, result)
        if follower is not None:
            self.create(follower, now, journal)
        return state

    def forget(self, record: TaskRecord) -> None:
        """Remove an ended task."""
        del self.records[record.id]
        index = self.queues[record.queue]
        index.total -= 1
        index.ended[record.state.value] -= 1
        if not index.total and not index.paused:
            del self.queues[record.queue]
        self._gone += 1
        if self._gone * 2 > len(self.order):
            self.order = [each for each in self.order if self.records.get(each.id) is each]
            self._gone = 0

    def _wait(self, record: TaskRecord, index: QueueIndex, now: int) -> None:
        """Put a task that became PENDING again into the indexes."""
        index.lane(record.priority).push(record.ready_at, record.seq, record, now)
        if record.expires_at is not None:
            index.expiring.push(record.expires_at, record)
            self.done.wake(record.id)  # who waits for its end has to mind its expiry again
        self.work.wake(record.queue)

    def _end(
        self, record: TaskRecord, index: QueueIndex, now: int, journal: Journal, result: ResultRecord | None
    ) -> None:
        state = record.state
        index.ended[state.value] += 1
        self.retention.fresh.append(record)
        self._release(record)
        if journal.results is not None:
            if result is not None:
                value = result.value if state is _COMPLETED else None
                error, codec, ttl_ms = result.error, result.codec, result.ttl_ms
            else:
                value, codec, ttl_ms = None, record.body.codec, record.body.result_ttl_ms
                error = None if state is _COMPLETED else _reason(record)
            if result is not None or state is not _COMPLETED:
                journal.results.put(record.id, record.seq, record.epoch, state.value, value, codec, error, ttl_ms, now)
        self.done.wake(record.id)

    def _release(self, record: TaskRecord) -> None:
        """Let go of the unique key that the ended task held."""
        if record.unique_key is not None:
            place = record.queue, record.unique_key
            if self.holders.get(place) is record:
                del self.holders[place]


def _reason(record: TaskRecord) -> str:
    """Describe why a task ended of which no worker reported a result."""
    if record.state is TaskStatus.CANCELLED:
        return ErrorInfo(type="cancelled", message="The task was cancelled.").to_json()
    if record.error == transitions.EXPIRED:
        message = "The task still waited when its expires_at came."
    elif record.error == transitions.LEASE_EXPIRED:
        message = f"The worker of attempt {record.attempts} of {record.max_attempts} was lost."
    else:
        return ErrorInfo(type="failed", message=record.error or "").to_json()
    return ErrorInfo(type=record.error, message=message).to_json()


def _by_time(entry: tuple[int, int, TaskRecord]) -> tuple[int, int]:
    return entry[:2]


def _grant(record: TaskRecord, token: Token, lease_until: int) -> Grant:
    return Grant(
        record.id,
        token,
        record.attempts,
        record.max_attempts,
        record.queue,
        record.priority,
        record.enqueued_at,
        record.ready_at,
        lease_until,
        record.body,
        record.series_id,
        record.nominal_at,
    )


def _record(spec: TaskSpec, seq: int, now: int) -> TaskRecord:
    """Make what `transitions.create` makes; its constructor with 25 keywords takes four times as long."""
    record = TaskRecord.__new__(TaskRecord)
    eta = spec.eta
    record.id = spec.id
    record.body = spec.body
    record.seq = seq
    record.queue = spec.queue
    record.priority = spec.priority
    record.eta = eta
    record.max_attempts = spec.max_attempts
    record.unique_key = spec.unique_key
    record.expires_at = spec.expires_at
    record.interval_ms = spec.interval_ms
    record.series_id = spec.series_id
    record.nominal_at = spec.nominal_at
    record.pinned = spec.pinned
    record.ready_at = ready_at = now if eta is None or eta < now else eta
    record.enqueued_at = now
    record.state = _PENDING
    record.attempts = 0
    record.epoch = 0
    record.nonce = ""
    record.version = 1
    record.lease_until = None
    record.worker = None
    record.cancel_requested = False
    record.started_at = None
    record.finished_at = None
    record.error = None
    if spec.interval_ms is not None:
        if spec.series_id is None:
            record.series_id = spec.id
        if spec.nominal_at is None:
            record.nominal_at = ready_at
    return record
