"""What a task queue decides, one item at a time: the core's state machine says how, this says what is in the log."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, cast

import attrs

from omniq.models.config import Role
from omniq.models.record import Enqueued, Grant
from omniq.models.result import ResultRecord
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage import transitions
from omniq_file.machine.results import put_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    from omniq_file.machine.queue_index import QueueIndex
    from omniq_file.machine.stored import Row
    from omniq_file.machine.transaction import Transaction

__all__ = ["MAX_SWEEP", "Tasks"]

MAX_SWEEP = 1000
_PENDING, _RUNNING, _COMPLETED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED


class Tasks:
    """The operations of a task queue.

    Args:
        tx: Takes the effects.
        joined: The roles that the same log serves for the caller.
    """

    def __init__(self, tx: Transaction, joined: frozenset[Role]) -> None:
        self._tx = tx
        self._view = tx.view
        self._now = tx.now
        self._events = Role.EVENT_STORAGE in joined
        self._results = Role.RESULT_STORAGE in joined

    # Producers

    def enqueue(self, spec: TaskSpec) -> Enqueued:
        """Add a task, or name the one in its place; an expired holder of its unique key is ended first."""
        if spec.id in self._view.tasks:
            return Enqueued(spec.id, created=False)
        if spec.unique_key is not None:
            holder = self._view.holders.get((spec.queue, spec.unique_key))
            if holder is not None and transitions.is_expired(holder, self._now):
                self._change(holder, transitions.expire(holder, self._now))
        return self._create(spec)

    def cancel(self, task_id: str) -> CancelReply:
        """Cancel a waiting task, or ask for the cancelling of a running one."""
        task = self._view.tasks.get(task_id)
        if task is None:
            return "missing"
        if task.state in TERMINAL:
            return "finished"
        waited = task.state is _PENDING
        step = transitions.cancel(task, self._now)
        if step is not None:
            self._change(task, step)
        return "cancelled" if waited else "requested"

    def redrive(self, task_id: str) -> RedriveReply:
        """Put an ended task back."""
        task = self._view.tasks.get(task_id)
        if task is None:
            return "missing"
        if task.state not in transitions.REDRIVABLE:
            return "invalid"
        if task.unique_key is not None and (task.queue, task.unique_key) in self._view.holders:
            return "conflict"
        self._change(task, transitions.redrive(task, self._now))
        return "ok"

    # Workers

    def claim(self, names: Sequence[str], limit: int, worker: str, lease_ms: int, nonce: str) -> list[Grant]:
        """Recover, then start the best ready tasks."""
        queues = self._known(names)
        if any(self._is_overdue(queue) for queue in queues):
            self.recover(names)
            queues = self._known(names)
        now, until = self._now, self._now + lease_ms
        grants: list[Grant] = []
        for task in islice(self._ready([each for each in queues if each.name not in self._view.paused]), max(limit, 0)):
            changes = {
                "state": _RUNNING,
                "epoch": task.epoch + 1,
                "attempts": task.attempts + 1,
                "nonce": nonce,
                "lease_until": until,
                "worker": worker,
                "started_at": now,
                "version": task.version + 1,
            }
            self._tx.set(task, changes)
            state, attempts, epoch = _RUNNING.value, task.attempts, task.epoch
            row = (task.id, task.seq, task.version, "STARTED", now, task.queue, state, attempts, epoch)
            self._note((*row, None, worker, None, None))
            grants.append(Grant.of(task))
        return grants

    def heartbeat(self, task_id: str, token: Token, lease_ms: int) -> HeartbeatReply:
        """Extend a lease."""
        task = self._view.tasks.get(task_id)
        if task is None or not transitions.is_current(task, token):
            return "lost"
        until = max(task.lease_until or 0, self._now + lease_ms)
        if until != task.lease_until:
            self._tx.set(task, {"lease_until": until})
        return "cancel" if task.cancel_requested else "ok"

    def complete(self, item: Completion) -> SettleReply:
        """End a run that succeeded."""
        task = self._view.tasks.get(item.id)
        if task is None or not transitions.is_current(task, item.token):
            return transitions.settled_reply(task, item.token)
        self._change(task, transitions.complete(task, self._now), item.result)
        return "ok"

    def fail(self, item: Failure) -> SettleReply:
        """End a run that failed."""
        task = self._view.tasks.get(item.id)
        if task is None or not transitions.is_current(task, item.token):
            return transitions.settled_reply(task, item.token)
        step = transitions.fail(task, self._now, error=item.error, retry_at=item.retry_at)
        return _reply(self._change(task, step, item.result))

    def release(self, item: Release) -> SettleReply:
        """Give a run back."""
        task = self._view.tasks.get(item.id)
        if task is None or not transitions.is_current(task, item.token):
            return transitions.settled_reply(task, item.token)
        return _reply(self._change(task, transitions.release(task, self._now, ready_at=item.ready_at)))

    def recover(self, names: Sequence[str]) -> list[tuple[str, TaskStatus]]:
        """Take over stale tasks, then end expired ones, up to a limit."""
        answers: list[tuple[str, TaskStatus]] = []
        queues = self._known(names)
        while len(answers) < MAX_SWEEP:
            leases = [first for queue in queues if (first := queue.first_lease()) is not None]
            if not leases or min(leases)[0] > self._now:
                break
            task = self._view.by_seq[min(leases)[1]]
            answers.append((task.id, self._change(task, transitions.recover(task, self._now))))
        while len(answers) < MAX_SWEEP:
            expiries = [first for queue in queues if (first := queue.first_expiry()) is not None]
            if not expiries or min(expiries)[0] > self._now:
                break
            task = self._view.by_seq[min(expiries)[1]]
            answers.append((task.id, self._change(task, transitions.expire(task, self._now))))
        return answers

    def purge(self, states: frozenset[TaskStatus], before: int, limit: int, pinned_before: int) -> list[str]:
        """Remove ended tasks, oldest first."""
        view = self._view
        old = view.retention.oldest(
            states, before, pinned_before, limit, view.by_seq, lambda task: task.seq not in view.owing
        )
        self._tx.gone(old)
        return [task.id for task in old]

    # Inside

    def _known(self, names: Iterable[str]) -> list[QueueIndex]:
        queues = self._view.queues
        return [queues[name] for name in dict.fromkeys(names) if name in queues]

    def _is_overdue(self, queue: QueueIndex) -> bool:
        lease, expiry = queue.first_lease(), queue.first_expiry()
        return (lease is not None and lease[0] <= self._now) or (expiry is not None and expiry[0] <= self._now)

    def _ready(self, queues: Sequence[QueueIndex]) -> Iterator[TaskRecord]:
        """Yield the ready tasks of the union of the queues, best first; each has to be started before the next."""
        by_seq, now = self._view.by_seq, self._now
        for rank in sorted({rank for queue in queues for rank in queue.ranks}, reverse=True):
            while True:
                if len(queues) == 1:
                    best = queues[0].first(rank)
                else:
                    best = min((head for queue in queues if (head := queue.first(rank)) is not None), default=None)
                if best is None or best[0] > now:
                    break
                task = by_seq[best[1]]
                if transitions.is_expired(task, now):  # there were more than one sweep ends
                    self._change(task, transitions.expire(task, now))
                else:
                    yield task

    def _create(self, spec: TaskSpec) -> Enqueued:
        view = self._view
        if spec.id in view.tasks:
            return Enqueued(spec.id, created=False)
        if spec.unique_key is not None:
            holder = view.holders.get((spec.queue, spec.unique_key))
            if holder is not None:
                return Enqueued(holder.id, created=False)
        task = transitions.create(spec, view.seq + 1, self._now)
        self._tx.new(task)
        self._note(
            (task.id, task.seq, 1, "ENQUEUED", self._now, task.queue, "PENDING", 0, 0, task.ready_at, None, None, None)
        )
        return Enqueued(task.id, created=True)

    def _change(self, task: TaskRecord, step: Step, result: ResultRecord | None = None) -> TaskStatus:
        """Apply a transition with all that follows from it, and return the new state."""
        follower = transitions.successor(task, step, self._now)
        worker, started_at, was_running = task.worker, task.started_at, task.state is _RUNNING
        self._tx.set(task, {**step.changes, "version": task.version + 1})
        state = task.state
        ended = was_running and state is not _RUNNING
        ready_at = task.ready_at if state is _PENDING else None
        duration = self._now - started_at if ended and started_at is not None else None
        row = (task.id, task.seq, task.version, step.type.value, self._now, task.queue, state.value, task.attempts)
        error = step.changes.get("error")
        self._note((*row, task.epoch, ready_at, task.worker or worker, error, duration))
        if self._results and state in TERMINAL:
            put_result(self._tx, _outcome(task, result))
        if follower is not None:
            self._create(follower)
        return state

    def _note(self, row: Row) -> None:
        """Tell the roles that have to hear of a transition: the joined ones now, the others through the outbox."""
        if self._events:
            self._tx.event(row)
            if self._results or row[6] not in _ENDS:
                return
        self._tx.owe(row)


_ENDS = frozenset(state.value for state in TERMINAL)


def _outcome(task: TaskRecord, given: ResultRecord | None) -> ResultRecord:
    """Return the result of an ended task: what the worker reported, with the state that it really got."""
    completed = task.state is _COMPLETED
    if given is None:
        error = None if completed else transitions.reason(task.state, task.error).to_json()
        body = task.body
        return ResultRecord(task.id, task.seq, task.epoch, task.state, None, body.codec, error, body.result_ttl_ms)
    if completed:
        if given.status is _COMPLETED and given.seq == task.seq and given.epoch == task.epoch:
            return given
        return attrs.evolve(given, seq=task.seq, epoch=task.epoch, status=task.state)
    return ResultRecord(task.id, task.seq, task.epoch, task.state, None, given.codec, given.error, given.ttl_ms)


def _reply(state: TaskStatus) -> SettleReply:
    return cast("SettleReply", state.value)
