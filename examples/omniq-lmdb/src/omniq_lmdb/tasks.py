"""The tasks inside a write transaction: the core's state machine decides, this keeps the records and their indexes."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, cast

from omniq.models.config import Role
from omniq.models.event import Event, EventType
from omniq.models.record import Enqueued, Grant, TaskBody
from omniq.models.result import ResultRecord
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage import transitions
from omniq_lmdb.codec import digest, dump_body, dump_event, dump_head, load_body, load_head, name_key, number
from omniq_lmdb.events import append_event
from omniq_lmdb.results import put_result
from omniq_lmdb.store import PAST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omniq.models.record import (
        CancelReply,
        Completion,
        Failure,
        HeartbeatReply,
        RedriveReply,
        Release,
        SettleReply,
        TaskRecord,
        TaskSpec,
        Token,
    )
    from omniq.storage.transitions import Step
    from omniq_lmdb.store import Transaction

__all__ = ["Tasks", "all_tasks", "find", "load"]

UNREADABLE = TaskBody(func="", codec="unreadable")
_MAX_SWEEP = 1000


def load(tx: Transaction, seq: bytes) -> TaskRecord:
    """Return the task of a seq that exists; what cannot be decoded of its body is shown as `UNREADABLE`."""
    try:
        body = load_body(tx.get("bodies", seq) or b"")
    except (ValueError, TypeError, KeyError, AttributeError):
        body = UNREADABLE
    return load_head(tx.get("heads", seq) or b"", body)


def find(tx: Transaction, task_id: str) -> TaskRecord | None:
    """Return the task of an id."""
    seq = tx.get("ids", digest(task_id))
    return None if seq is None else load(tx, seq)


def all_tasks(tx: Transaction, after: int | None = None, *, desc: bool = False) -> Iterator[TaskRecord]:
    """Yield the tasks past `after` by seq."""
    bound = None if after is None else number(after)
    if desc:
        found = tx.scan("heads", desc=True) if bound is None else tx.scan("heads", stop=bound, desc=True)
    else:
        found = tx.scan("heads", b"" if bound is None else bound + b"\0")
    return (load(tx, seq) for seq, _ in found)


class Tasks:
    """What the task queue does, one item at a time.

    Args:
        tx: The transaction that all of it is part of.
        now: The time of all of it.
        joined: The roles that the transaction serves too.
    """

    def __init__(self, tx: Transaction, now: int, joined: frozenset[Role]) -> None:
        self._tx = tx
        self._now = now
        self._joined = joined

    # Producers

    def enqueue(self, spec: TaskSpec) -> Enqueued:
        """Add a task, or name the one in its place; an expired holder of its unique key is ended first."""
        if spec.unique_key is not None and self._tx.get("ids", digest(spec.id)) is None:
            holder = self._holder(spec.queue, spec.unique_key)
            if holder is not None and transitions.is_expired(holder, self._now):
                self._change(holder, transitions.expire(holder, self._now))
        return self._create(spec)

    def cancel(self, task_id: str) -> CancelReply:
        """Cancel a waiting task, or ask for the cancelling of a running one."""
        task = find(self._tx, task_id)
        if task is None:
            return "missing"
        if task.state in TERMINAL:
            return "finished"
        waited = task.state is TaskStatus.PENDING
        step = transitions.cancel(task, self._now)
        if step is not None:
            self._change(task, step)
        return "cancelled" if waited else "requested"

    def redrive(self, task_id: str) -> RedriveReply:
        """Put an ended task back."""
        task = find(self._tx, task_id)
        if task is None:
            return "missing"
        if task.state not in transitions.REDRIVABLE:
            return "invalid"
        if task.unique_key is not None and self._holder(task.queue, task.unique_key) is not None:
            return "conflict"
        self._change(task, transitions.redrive(task, self._now))
        return "ok"

    # Workers

    def claim(self, queues: Sequence[str], limit: int, worker: str, lease_ms: int, nonce: str) -> list[Grant]:
        """Recover, then start the best ready tasks."""
        self.recover(queues)
        chosen: list[TaskRecord] = []
        damaged: list[TaskRecord] = []
        for seq in self._ready(queues):
            if len(chosen) >= limit:
                break
            task = load(self._tx, seq)
            if task.body is UNREADABLE:
                damaged.append(task)
            elif not transitions.is_expired(task, self._now):  # a sweep that stopped left it
                chosen.append(task)
        for task in (*chosen, *damaged):
            self._change(task, transitions.start(task, self._now, worker=worker, lease_ms=lease_ms, nonce=nonce))
        for task in damaged:
            error = "The stored task cannot be decoded; its bytes are in the table `bodies`."
            self._change(task, transitions.fail(task, self._now, error=error, retry_at=None))
        return [Grant.of(task) for task in chosen]

    def heartbeat(self, task_id: str, token: Token, lease_ms: int) -> HeartbeatReply:
        """Extend a lease."""
        task = find(self._tx, task_id)
        if task is None or not transitions.is_current(task, token):
            return "lost"
        before = _entries(task)
        task.lease_until = max(task.lease_until or 0, self._now + lease_ms)
        self._keep(task, before)
        return "cancel" if task.cancel_requested else "ok"

    def complete(self, item: Completion) -> SettleReply:
        """End a run that succeeded."""
        task = find(self._tx, item.id)
        if task is None or not transitions.is_current(task, item.token):
            return transitions.settled_reply(task, item.token)
        self._change(task, transitions.complete(task, self._now), item.result)
        return "ok"

    def fail(self, item: Failure) -> SettleReply:
        """End a run that failed."""
        task = find(self._tx, item.id)
        if task is None or not transitions.is_current(task, item.token):
            return transitions.settled_reply(task, item.token)
        step = transitions.fail(task, self._now, error=item.error, retry_at=item.retry_at)
        return _reply(self._change(task, step, item.result))

    def release(self, item: Release) -> SettleReply:
        """Give a run back."""
        task = find(self._tx, item.id)
        if task is None or not transitions.is_current(task, item.token):
            return transitions.settled_reply(task, item.token)
        return _reply(self._change(task, transitions.release(task, self._now, ready_at=item.ready_at)))

    def recover(self, queues: Sequence[str]) -> list[tuple[str, TaskStatus]]:
        """Take over stale tasks, then end expired ones, up to a limit."""
        answers: list[tuple[str, TaskStatus]] = []
        for table, step in (("leases", transitions.recover), ("expiring", transitions.expire)):
            keys = [digest(name) for name in dict.fromkeys(queues)]
            due = heapq.merge(*(self._until_now(table, key) for key in keys))
            for seq in [key[-8:] for key in islice(due, _MAX_SWEEP - len(answers))]:
                task = load(self._tx, seq)
                answers.append((task.id, self._change(task, step(task, self._now))))
        return answers

    def purge(self, states: frozenset[TaskStatus], before: int, limit: int, pinned_before: int) -> list[str]:
        """Remove ended tasks, oldest first."""
        ended = (load(self._tx, seq) for _, seq in self._tx.scan("ended", stop=number(max(before, pinned_before))))
        old = (
            task
            for task in ended
            if task.state in states
            and task.finished_at is not None
            and task.finished_at < (pinned_before if task.pinned else before)
            and next(self._tx.scan("owed", number(task.seq), number(task.seq) + PAST), None) is None
        )
        gone = list(islice(old, max(limit, 0)))
        for task in gone:
            for table, key in (*_entries(task), ("heads", number(task.seq)), ("bodies", number(task.seq))):
                self._tx.delete(table, key)
            self._tx.delete("ids", digest(task.id))
        return [task.id for task in gone]

    # Inside

    def _until_now(self, table: str, prefix: bytes) -> Iterator[bytes]:
        """Yield the keys after the prefix, which are a time and a seq, as far as the time has come."""
        for key, _ in self._tx.scan(table, prefix, prefix + number(self._now + 1)):
            yield key[len(prefix) :]

    def _ready(self, queues: Sequence[str]) -> Iterator[bytes]:
        """Yield the seqs of the ready tasks of the union of the queues, best first."""
        names = [name for name in dict.fromkeys(queues) if self._tx.get("paused", name_key(name)) is None]
        return (key[-8:] for key in heapq.merge(*(self._ready_in(digest(name)) for name in names)))

    def _ready_in(self, queue: bytes) -> Iterator[bytes]:
        for rank in range(10):
            for key in self._until_now("ready", queue + bytes([rank])):
                yield bytes([rank]) + key

    def _holder(self, queue: str, unique_key: str) -> TaskRecord | None:
        seq = self._tx.get("unique", digest(queue, unique_key))
        return None if seq is None else load(self._tx, seq)

    def _create(self, spec: TaskSpec) -> Enqueued:
        if self._tx.get("ids", digest(spec.id)) is not None:
            return Enqueued(spec.id, created=False)
        holder = None if spec.unique_key is None else self._holder(spec.queue, spec.unique_key)
        if holder is not None:
            return Enqueued(holder.id, created=False)
        task = transitions.create(spec, self._tx.next("seq"), self._now)
        self._tx.put("ids", digest(task.id), number(task.seq))
        self._tx.put("bodies", number(task.seq), dump_body(task.body))
        self._keep(task, [])
        self._note(
            Event(
                task_id=task.id,
                seq=task.seq,
                version=1,
                type=EventType.ENQUEUED,
                at=self._now,
                queue=task.queue,
                state=task.state,
                ready_at=task.ready_at,
            )
        )
        return Enqueued(task.id, created=True)

    def _change(self, task: TaskRecord, step: Step, result: ResultRecord | None = None) -> TaskStatus:
        """Apply a transition with all that follows from it, and return the new state."""
        follower = transitions.successor(task, step, self._now)
        before = _entries(task)
        event = transitions.apply(task, step, self._now)
        self._keep(task, before)
        self._note(event)
        if task.state in TERMINAL and Role.RESULT_STORAGE in self._joined:
            put_result(self._tx, _outcome(task, result), self._now)
        if follower is not None:
            self._create(follower)
        return task.state

    def _keep(self, task: TaskRecord, before: list[tuple[str, bytes]]) -> None:
        """Write a task whose index entries were `before`."""
        after = _entries(task)
        for table, key in before:
            if (table, key) not in after:
                self._tx.delete(table, key)
        for table, key in after:
            self._tx.put(table, key, number(task.seq))
        self._tx.put("heads", number(task.seq), dump_head(task))

    def _note(self, event: Event) -> None:
        """Tell the roles that have to hear of a transition: the joined ones now, the others through the outbox."""
        if Role.EVENT_STORAGE in self._joined:
            append_event(self._tx, event)
            if Role.RESULT_STORAGE in self._joined or event.state not in TERMINAL:
                return
        place = number(self._tx.next("outbox"))
        self._tx.put("outbox", place, dump_event(event))
        self._tx.put("owed", number(event.seq) + number(event.version), place)


def _entries(task: TaskRecord) -> list[tuple[str, bytes]]:
    """Return the tables and keys under which a task is found in its state."""
    queue, seq = digest(task.queue), number(task.seq)
    if task.state in TERMINAL:
        return [("ended", number(task.finished_at or 0) + seq)]
    found = [] if task.unique_key is None else [("unique", digest(task.queue, task.unique_key))]
    if task.state is TaskStatus.RUNNING:
        return [*found, ("leases", queue + number(task.lease_until or 0) + seq)]
    if task.expires_at is not None:
        found.append(("expiring", queue + number(task.expires_at) + seq))
    return [*found, ("ready", queue + bytes([9 - task.priority]) + number(task.ready_at) + seq)]


def _outcome(task: TaskRecord, given: ResultRecord | None) -> ResultRecord:
    """Return the result of an ended task: what the worker reported, with the state that it really got."""
    completed = task.state is TaskStatus.COMPLETED
    error = None if completed else transitions.reason(task.state, task.error).to_json()
    return ResultRecord(
        id=task.id,
        seq=task.seq,
        epoch=task.epoch,
        status=task.state,
        value=given.value if given is not None and completed else None,
        codec=task.body.codec if given is None else given.codec,
        error=error if given is None else given.error,
        ttl_ms=task.body.result_ttl_ms if given is None else given.ttl_ms,
    )


def _reply(state: TaskStatus) -> SettleReply:
    return cast("SettleReply", state.value)
