"""All tasks and every change of one: the synchronous heart of the memory task queue."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from omniq.models.record import Enqueued, Grant, TaskRecord, Token
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage import transitions
from omniq_memory.event_log import COMPLETED, ENQUEUED, STARTED, pack
from omniq_memory.journal import Outbox
from omniq_memory.queue_index import NEVER, QueueIndex, take_ready
from omniq_memory.records import new_record
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
    them; test_hot_path.py compares them. Everything else goes through `change`.

    Attributes:
        records: All tasks by id.
        queues: The queues that have tasks or are paused.
        holders: The live task that has a unique key, by (queue, key).
        outbox: What other storages still have to hear of.
        retention: The ended tasks by the time of their end.
        work: Who waits for work, by queue.
        done: Who waits for the end of a task, by id.
    """

    def __init__(self) -> None:
        self.records: dict[str, TaskRecord] = {}
        self.queues: dict[str, QueueIndex] = {}
        self.holders: dict[tuple[str, str], TaskRecord] = {}
        self.outbox = Outbox()
        self.retention = Retention()
        self.work = Board()
        self.done = Board()
        self._seq = 0
        self._order: list[TaskRecord] = []  # see `by_seq`
        self._gone = 0  # at most so many purged tasks are in it

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

    def enqueue(self, specs: Sequence[TaskSpec], now: int, journal: Journal) -> list[Enqueued]:
        """Add tasks, or name those in their place; an expired holder of a unique key is ended first."""
        records, work, add = self.records, self.work, journal.add
        answers: list[Enqueued] = []
        index = lane = None
        for spec in specs:
            task_id, name, priority = spec.id, spec.queue, spec.priority
            if (
                spec.eta is not None
                or spec.unique_key is not None
                or spec.expires_at is not None
                or spec.interval_ms is not None
            ):
                answers.append(self._enqueue_unusual(spec, now, journal))
                continue
            # What `create` does, without what such a task has no use for.
            seq = self._seq + 1
            task = new_record(spec, seq, now)
            if records.setdefault(task_id, task) is not task:
                answers.append(Enqueued(task_id, created=False))
                continue
            self._seq = seq
            if lane is None or index is None or index.name != name or lane.priority != priority:
                index = self.queue(name)
                lane = index.lane(priority)
            index.total += 1
            line_at = lane.line_at
            if not line_at or line_at[-1] <= now:
                line_at.append(now)
                lane.line.append(task)
            else:
                lane.push(task, now)
            add((task_id, seq, 1, ENQUEUED, now, name, 0, 0, now, None, None, None))
            if work.waiting:
                work.wake(name)
            answers.append(_new_tuple(Enqueued, (task_id, True)))
        return answers

    def _enqueue_unusual(self, spec: TaskSpec, now: int, journal: Journal) -> Enqueued:
        if spec.unique_key is not None and spec.id not in self.records:
            holder = self.holders.get((spec.queue, spec.unique_key))
            if holder is not None and transitions.is_expired(holder, now):
                self.change(holder, transitions.expire(holder, now), now, journal)
        return self.create(spec, now, journal)

    def create(self, spec: TaskSpec, now: int, journal: Journal) -> Enqueued:
        """Add a task unless its id is known or its unique key is held."""
        key = None if spec.unique_key is None else (spec.queue, spec.unique_key)
        if spec.id in self.records:
            return Enqueued(spec.id, created=False)
        if key is not None and key in self.holders:
            return Enqueued(self.holders[key].id, created=False)
        self._seq += 1
        task = new_record(spec, self._seq, now)
        self.records[spec.id] = task
        if key is not None:
            self.holders[key] = task
        index = self.queue(spec.queue)
        index.total += 1
        self._wait(task, index, now)
        at = task.ready_at
        journal.add((spec.id, task.seq, 1, ENQUEUED, now, spec.queue, 0, 0, at, None, None, None))
        return Enqueued(spec.id, created=True)

    # Workers

    def claim(
        self, names: Sequence[str], limit: int, worker: str, lease_ms: int, nonce: str, now: int, journal: Journal
    ) -> list[Grant]:
        """Recover, then start the best ready tasks."""
        queues = self.known(names)
        if any(queue.has_overdue(now) for queue in queues):
            self.recover(queues, now, journal)
        lease_until, add = now + lease_ms, journal.add
        grants: list[Grant] = []
        index = None
        for task in take_ready([queue for queue in queues if not queue.paused], limit, now):
            task_id, seq, name = task.id, task.seq, task.queue
            task.epoch = epoch = task.epoch + 1
            task.attempts = attempts = task.attempts + 1
            task.version = version = task.version + 1
            task.nonce = nonce
            task.lease_until = lease_until
            task.worker = worker
            task.started_at = now
            if index is None or index.name != name:
                index = self.queues[name]
                index.lease_floor = min(index.lease_floor, lease_until)
            index.running[seq] = task
            add((task_id, seq, version, STARTED, now, name, attempts, epoch, None, worker, None, None))
            grants.append(
                Grant(
                    task_id,
                    _new_tuple(Token, (seq, epoch, nonce)),
                    attempts,
                    task.max_attempts,
                    name,
                    task.priority,
                    task.enqueued_at,
                    task.ready_at,
                    lease_until,
                    task.body,
                    task.series_id,
                    task.nominal_at,
                )
            )
        return grants

    def held(self, worker: str, nonce: str) -> list[Grant]:
        """Return what is still running under a claim, in claim order."""
        running = [task for queue in self.queues.values() for task in queue.running.values()]
        held = [task for task in running if task.worker == worker and task.nonce == nonce]
        held.sort(key=lambda task: (-task.priority, task.ready_at, task.seq))
        return [Grant.of(task) for task in held]

    def complete(self, items: Sequence[Completion], now: int, journal: Journal) -> list[SettleReply]:
        """End runs that succeeded."""
        records, add, results, done = self.records, journal.add, journal.results, self.done
        ended = self.retention.fresh.append
        answers: list[SettleReply] = []
        index = None
        for task_id, token, result in items:
            task = records.get(task_id)
            if task is None or task.state is not _RUNNING or (task.seq, task.epoch, task.nonce) != token:
                answers.append(transitions.settled_reply(task, token))
                continue
            answers.append("ok")
            if task.series_id is not None or task.unique_key is not None or task.cancel_requested:
                self.change(task, transitions.complete(task, now), now, journal, result)
                continue
            # What `change` does, without what such a task has no use for.
            seq, epoch, name = task.seq, task.epoch, task.queue
            task.state = _COMPLETED
            task.version = version = task.version + 1
            task.finished_at = now
            worker, task.worker, task.lease_until = task.worker, None, None
            attempts, ran = task.attempts, now - (task.started_at or now)
            add((task_id, seq, version, COMPLETED, now, name, attempts, epoch, None, worker, ran, None))
            if index is None or index.name != name:
                index = self.queues[name]
            del index.running[seq]
            index.ended["COMPLETED"] += 1
            ended(task)
            if results is not None:
                if result is None:
                    journal.keep_result(task, None, now)
                else:
                    error, codec = result.error, result.codec
                    outcome = (seq, epoch, now, "COMPLETED", result.ttl_ms, result.value, codec, error)
                    old = results.outcomes.setdefault(task_id, outcome)
                    if old is not outcome and (old[0], old[1]) <= (seq, epoch):
                        results.outcomes[task_id] = outcome
                    results.fresh.append(task_id)
            if done.waiting:
                done.wake(task_id)
        return answers

    def recover(self, queues: Sequence[QueueIndex], now: int, journal: Journal) -> list[tuple[str, TaskStatus]]:
        """Take over every stale task and end every expired one."""
        answers: list[tuple[str, TaskStatus]] = []
        stale: list[tuple[int, int, TaskRecord]] = []
        for queue in queues:
            if queue.lease_floor <= now:
                leases = [(task.lease_until or 0, seq, task) for seq, task in queue.running.items()]
                stale += [lease for lease in leases if lease[0] <= now]
                queue.lease_floor = min((lease[0] for lease in leases if lease[0] > now), default=NEVER)
        for _, _, task in sorted(stale, key=_by_time):
            self.change(task, transitions.recover(task, now), now, journal)
            answers.append((task.id, task.state))
        expired: list[tuple[int, int, TaskRecord]] = []
        for queue in queues:
            while (head := queue.expiring.head()) is not None and head[0] <= now:
                queue.expiring.pop()
                expired.append(head)
        for _, _, task in sorted(expired, key=_by_time):
            if task.state is _PENDING:  # one task may have had two entries
                self.change(task, transitions.expire(task, now), now, journal)
                answers.append((task.id, task.state))
        return answers

    # Any change

    def change(
        self,
        task: TaskRecord,
        step: transitions.Step,
        now: int,
        journal: Journal,
        result: ResultRecord | None = None,
    ) -> TaskStatus:
        """Apply a transition with all that follows from it, and return the new state.

        Args:
            task: The task.
            step: The transition, made from the task as it is.
            now: The time of the step.
            journal: Takes the event, and the result if the task ends.
            result: What the worker reports; stored with the state that the task really gets.
        """
        follower = transitions.successor(task, step, now)
        before = task.state
        journal.add(pack(transitions.apply(task, step, now)))
        state = task.state
        index = self.queues[task.queue]
        if state is not before:
            if before is _RUNNING:
                del index.running[task.seq]
            elif before is _PENDING:
                index.lane(task.priority).note_void()
            else:
                index.ended[before.value] -= 1
                if task.unique_key is not None:
                    self.holders[task.queue, task.unique_key] = task
            if state is _PENDING:
                self._wait(task, index, now)
            elif state in TERMINAL:
                self._end(task, index, now, journal, result)
        if follower is not None:
            self.create(follower, now, journal)
        return state

    def forget(self, task: TaskRecord) -> None:
        """Remove an ended task."""
        del self.records[task.id]
        index = self.queues[task.queue]
        index.total -= 1
        index.ended[task.state.value] -= 1
        if not index.total and not index.paused:
            del self.queues[task.queue]
        if self._order:
            self._gone += 1
            if self._gone > len(self.records):
                self._order.clear()
                self._gone = 0

    def by_seq(self) -> list[TaskRecord]:
        """Return all tasks by seq, with purged ones among them."""
        order = self._order
        # The dict is in the order of seq, too, but has no places; what is new in it is at its end.
        last = order[-1].seq if order else 0
        fresh = list(takewhile(lambda task: task.seq > last, reversed(self.records.values())))
        order.extend(reversed(fresh))
        return order

    def _wait(self, task: TaskRecord, index: QueueIndex, now: int) -> None:
        """Put a task that became PENDING again into the indexes."""
        index.lane(task.priority).push(task, now)
        if task.expires_at is not None:
            index.expiring.push(task.expires_at, task)
            self.done.wake(task.id)  # who waits for its end has to mind its expiry again
        self.work.wake(task.queue)

    def _end(
        self, task: TaskRecord, index: QueueIndex, now: int, journal: Journal, result: ResultRecord | None
    ) -> None:
        index.ended[task.state.value] += 1
        self.retention.fresh.append(task)
        self._release(task)
        journal.keep_result(task, result, now)
        self.done.wake(task.id)

    def _release(self, task: TaskRecord) -> None:
        """Let go of the unique key that the ended task held."""
        if task.unique_key is not None:
            place = task.queue, task.unique_key
            if self.holders.get(place) is task:
                del self.holders[place]


def _by_time(entry: tuple[int, int, TaskRecord]) -> tuple[int, int]:
    return entry[:2]
