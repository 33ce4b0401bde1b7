"""The reference model of the task queue: how every call of `TaskQueue` must answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.models.event import Event, EventType
from omniq.models.record import Grant, TaskRecord
from omniq.models.status import TERMINAL, TaskStatus
from omniq_conformance.model.queue_views import QueueViews

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omniq.models.record import (
        CancelReply,
        Completion,
        Enqueued,
        Failure,
        HeartbeatReply,
        RedriveReply,
        Release,
        SettleReply,
        TaskSpec,
        Token,
    )

__all__ = ["TaskQueueModel"]

_PENDING, _RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING
_COMPLETED, _FAILED, _CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


class TaskQueueModel(QueueViews):
    """Answers every call of `TaskQueue` as docs/reference/contract.md says; `store` is what it has in mind."""

    # Producers

    def enqueue(self, specs: Sequence[TaskSpec], *, now: int) -> list[Enqueued]:
        """Answer `TaskQueue.enqueue`."""
        return [self._enqueue(spec, now) for spec in specs]

    def _enqueue(self, spec: TaskSpec, now: int) -> Enqueued:
        holder = None if spec.id in self.store.records else self.store.holder(spec.queue, spec.unique_key)
        if holder and self.is_expired(holder, now):
            self._expire(holder, now)
        return self.store.create(spec, now)

    def _expire(self, record: TaskRecord, now: int) -> TaskRecord:
        return self.store.end(record, _FAILED, now, kind=EventType.EXPIRED, error="expired")

    def cancel(self, ids: Sequence[str], *, now: int) -> list[CancelReply]:
        """Answer `TaskQueue.cancel`."""
        return [self._cancel(id, now) for id in ids]

    def _cancel(self, id: str, now: int) -> CancelReply:
        record = self.store.records.get(id)
        if record is None:
            return "missing"
        if record.state is _PENDING:
            self.store.end(record, _CANCELLED, now)
            return "cancelled"
        if record.state is not _RUNNING:
            return "finished"
        if not record.cancel_requested:
            self.store.set(record, EventType.CANCEL_REQUESTED, now, cancel_requested=True)
        return "requested"

    def redrive(self, ids: Sequence[str], *, now: int) -> list[RedriveReply]:
        """Answer `TaskQueue.redrive`."""
        return [self._redrive(id, now) for id in ids]

    def _redrive(self, id: str, now: int) -> RedriveReply:
        record = self.store.records.get(id)
        if record is None:
            return "missing"
        if record.state not in {_FAILED, _CANCELLED}:
            return "invalid"
        if self.store.holder(record.queue, record.unique_key):
            return "conflict"
        reopened = attrs.evolve(record, finished_at=None, error=None, expires_at=None, series_id=None, nominal_at=None)
        self.store.set(
            reopened, EventType.REDRIVEN, now, state=_PENDING, ready_at=now, attempts=0, epoch=record.epoch + 1
        )
        return "ok"

    # Workers

    def recover(self, queues: Sequence[str], *, now: int) -> list[tuple[str, TaskStatus]]:
        """Answer `TaskQueue.recover`."""
        swept = [self._take_away(record, now) for record in self.stale(queues, now)]
        # What expired is looked up afterwards: a run that was just put back may have expired too.
        swept += [self._expire(record, now) for record in self.expired(queues, now)]
        return [(record.id, record.state) for record in swept]

    def _take_away(self, record: TaskRecord, now: int) -> TaskRecord:
        if record.cancel_requested:
            return self.store.end(record, _CANCELLED, now)
        if record.attempts >= record.max_attempts:
            return self.store.end(record, _FAILED, now, error="lease expired")
        return self.store.back(record, now, EventType.LEASE_EXPIRED, now)

    def claim(
        self, queues: Sequence[str], limit: int, worker: str, lease_ms: int, claim_id: str, *, now: int
    ) -> list[Grant]:
        """Answer `TaskQueue.claim`."""
        self.recover(queues, now=now)
        return [
            Grant.of(
                self.store.set(
                    record,
                    EventType.STARTED,
                    now,
                    state=_RUNNING,
                    epoch=record.epoch + 1,
                    attempts=record.attempts + 1,
                    nonce=claim_id,
                    lease_until=now + lease_ms,
                    worker=worker,
                    started_at=now,
                )
            )
            for record in self.ready(queues, now)[:limit]
        ]

    def held(self, worker: str, claim_id: str) -> list[Grant]:
        """Answer `TaskQueue.held`."""
        mine = (
            r for r in self.store.records.values() if r.state is _RUNNING and r.worker == worker and r.nonce == claim_id
        )
        return [Grant.of(record) for record in sorted(mine, key=self.rank)]

    def heartbeat(self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int) -> list[HeartbeatReply]:
        """Answer `TaskQueue.heartbeat`."""
        return [self._heartbeat(id, token, lease_ms, now) for id, token in tokens]

    def _heartbeat(self, id: str, token: Token, lease_ms: int, now: int) -> HeartbeatReply:
        record = self.store.current(id, token)
        if record is None:
            return "lost"
        self.store.records[id] = attrs.evolve(record, lease_until=max(record.lease_until or 0, now + lease_ms))
        return "cancel" if record.cancel_requested else "ok"

    def complete(self, items: Sequence[Completion], *, now: int) -> list[SettleReply]:
        """Answer `TaskQueue.complete`."""
        return [self._complete(item, now) for item in items]

    def _complete(self, item: Completion, now: int) -> SettleReply:
        record = self.store.current(item.id, item.token)
        if record is None:
            return self.store.stale(item.id, item.token)
        self.store.end(record, _COMPLETED, now, by_token=True, result=item.result)
        return "ok"

    def fail(self, items: Sequence[Failure], *, now: int) -> list[SettleReply]:
        """Answer `TaskQueue.fail`."""
        return [self._fail(item, now) for item in items]

    def _fail(self, item: Failure, now: int) -> SettleReply:
        record = self.store.current(item.id, item.token)
        if record is None:
            return self.store.stale(item.id, item.token)
        if record.cancel_requested:
            self.store.end(record, _CANCELLED, now, by_token=True, error=item.error, result=item.result)
            return "CANCELLED"
        if item.retry_at is not None and record.attempts < record.max_attempts:
            self.store.back(record, max(item.retry_at, now), EventType.RETRYING, now, error=item.error)
            return "PENDING"
        self.store.end(record, _FAILED, now, by_token=True, error=item.error, result=item.result)
        return "FAILED"

    def release(self, items: Sequence[Release], *, now: int) -> list[SettleReply]:
        """Answer `TaskQueue.release`."""
        return [self._release(item, now) for item in items]

    def _release(self, item: Release, now: int) -> SettleReply:
        record = self.store.current(item.id, item.token)
        if record is None:
            return self.store.stale(item.id, item.token)
        if record.cancel_requested:
            self.store.end(record, _CANCELLED, now, by_token=True)
            return "CANCELLED"
        self.store.back(record, max(item.ready_at, now), EventType.RELEASED, now, attempts=record.attempts - 1)
        return "PENDING"

    # Queues, retention and outbox

    def pause(self, queues: Sequence[str]) -> None:
        """Answer `TaskQueue.pause`."""
        self.store.paused |= set(queues)

    def resume(self, queues: Sequence[str]) -> None:
        """Answer `TaskQueue.resume`."""
        self.store.paused -= set(queues)

    def purge(
        self, states: frozenset[TaskStatus], before: int, limit: int = 1000, *, pinned_before: int | None = None
    ) -> list[str]:
        """Answer `TaskQueue.purge`."""
        unread = {(event.task_id, event.seq) for event in self.store.unacknowledged.values()}
        old = [
            r
            for r in self.store.records.values()
            if r.state in states & TERMINAL
            and r.finished_at is not None
            and r.finished_at < (pinned_before if r.pinned and pinned_before is not None else before)
            and (r.id, r.seq) not in unread
        ]
        old.sort(key=lambda r: (r.finished_at, r.seq))
        for record in old[:limit]:
            self.store.removed.append(self.store.records.pop(record.id))
        return [record.id for record in old[:limit]]

    def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int) -> list[Event]:
        """Answer `TaskQueue.outbox`."""
        found: list[Event] = []
        too_young: set[int] = set()
        for event in self.store.unacknowledged.values():
            if event.at > now - min_age_ms or event.seq in too_young:
                too_young.add(event.seq)
            else:
                found.append(event)
        return found[:limit]

    def outbox_ack(self, entries: Iterable[Event]) -> None:
        """Answer `TaskQueue.outbox_ack`."""
        for event in entries:
            self.store.unacknowledged.pop(event.event_id, None)
