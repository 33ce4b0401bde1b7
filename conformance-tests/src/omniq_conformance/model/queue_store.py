"""What the task queue's reference model keeps, and the steps that change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.event import Event, EventType
from omniq.models.record import Enqueued, TaskRecord
from omniq.models.result import ResultRecord
from omniq.models.status import LIVE, TERMINAL, TaskStatus

if TYPE_CHECKING:
    from omniq.models.record import SettleReply, TaskSpec, Token
    from omniq_conformance.model.results import ResultsModel

__all__ = ["TOLD_BY_THE_STORE", "QueueStore"]

TOLD_BY_THE_STORE = "whatever the store says"
"""The error of outcomes that no worker reported; a store words it as it likes."""

_PENDING, _RUNNING, _CANCELLED = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.CANCELLED


class QueueStore:
    """The tasks, and each transition as one step: the record, its event, its result and the next run of its series.

    Records are never changed in place: a changed task is another object, so a caller may keep what it was given.

    Attributes:
        records: Every task that is stored, by id.
        paused: The names of the paused queues.
        last_seq: The `seq` of the newest task.
        log: Every transition ever made, in order.
        unacknowledged: The outbox, by event id, in order; stays empty if results and events are joined.
        removed: The tasks that were purged.
        results: The joined result storage; None if results are not joined.
        events_joined: Whether events are joined; then the outbox has ends only, which the results need.
    """

    def __init__(self, results: ResultsModel | None = None, *, events_joined: bool | None = None) -> None:
        self.records: dict[str, TaskRecord] = {}
        self.paused: set[str] = set()
        self.last_seq = 0
        self.log: list[Event] = []
        self.unacknowledged: dict[str, Event] = {}
        self.removed: list[TaskRecord] = []
        self.results = results
        self.events_joined = results is not None if events_joined is None else events_joined

    def _note(
        self,
        record: TaskRecord,
        kind: EventType,
        now: int,
        *,
        before: TaskRecord | None = None,
        error: str | None = None,
    ) -> TaskRecord:
        self.records[record.id] = record
        ran = before is not None and before.state is _RUNNING
        event = Event(
            task_id=record.id,
            seq=record.seq,
            version=record.version,
            type=kind,
            at=now,
            queue=record.queue,
            state=record.state,
            attempt=record.attempts,
            epoch=record.epoch,
            ready_at=record.ready_at if record.state is _PENDING else None,
            worker=before.worker if before is not None and ran else record.worker,
            error=error,
            duration_ms=now - (before.started_at or 0) if before and ran and record.state is not _RUNNING else None,
        )
        self.log.append(event)
        if not self.events_joined or (self.results is None and record.state in TERMINAL):
            self.unacknowledged[event.event_id] = event
        return record

    def set(
        self, record: TaskRecord, kind: EventType, now: int, *, error: str | None = None, **changes: Any
    ) -> TaskRecord:
        """Change a record and write the event."""
        if error is not None:
            changes["error"] = error
        after = attrs.evolve(record, version=record.version + 1, **changes)
        return self._note(after, kind, now, before=record, error=error)

    def end(
        self,
        record: TaskRecord,
        state: TaskStatus,
        now: int,
        *,
        kind: EventType | None = None,
        by_token: bool = False,
        error: str | None = None,
        result: ResultRecord | None = None,
    ) -> TaskRecord:
        """End a task; the next run of its series follows unless a cancel stopped the series."""
        last_run = record.cancel_requested or state is _CANCELLED
        ended = self.set(
            record,
            kind or EventType(state),
            now,
            state=state,
            lease_until=None,
            worker=None,
            cancel_requested=False,
            finished_at=now,
            epoch=record.epoch + (0 if by_token else 1),
            error=error,
        )
        self._keep_result(ended, result, now)
        if ended.series_id is not None and not last_run:
            self._follow(ended, now)
        return ended

    def _keep_result(self, ended: TaskRecord, result: ResultRecord | None, now: int) -> None:
        if self.results is None:
            return
        if result is None:
            result = ResultRecord(
                id=ended.id,
                seq=ended.seq,
                epoch=ended.epoch,
                status=ended.state,
                error=None if ended.state is TaskStatus.COMPLETED else TOLD_BY_THE_STORE,
                ttl_ms=ended.body.result_ttl_ms,
            )
        self.results.put([attrs.evolve(result, status=ended.state)], now=now)

    def _follow(self, ended: TaskRecord, now: int) -> None:
        """Enqueue the next run of the series: at the first nominal time after now."""
        step, nominal = ended.interval_ms, ended.nominal_at
        if step is None or nominal is None:
            return
        nominal += step * max(1, (now - nominal) // step + 1)
        self.create(
            attrs.evolve(ended, id=f"{ended.series_id}@{nominal}", eta=nominal, expires_at=None, nominal_at=nominal),
            now,
        )

    def back(
        self, record: TaskRecord, ready_at: int, kind: EventType, now: int, *, error: str | None = None, **changes: Any
    ) -> TaskRecord:
        """Put a run back among the waiting tasks."""
        return self.set(
            record, kind, now, state=_PENDING, ready_at=ready_at, lease_until=None, worker=None, error=error, **changes
        )

    def holder(self, queue: str, key: str | None) -> TaskRecord | None:
        """Return the live task that holds a unique key."""
        if key is None:
            return None
        held = (r for r in self.records.values() if r.unique_key == key and r.queue == queue and r.state in LIVE)
        return next(held, None)

    def running(self) -> list[TaskRecord]:
        """Return the tasks that run."""
        return [record for record in self.records.values() if record.state is _RUNNING]

    def current(self, id: str, token: Token) -> TaskRecord | None:
        """Return the record if the token may change it."""
        record = self.records.get(id)
        return record if record and record.state is _RUNNING and record.token == token else None

    def stale(self, id: str, token: Token) -> SettleReply:
        """Answer a settling whose token is not current."""
        record = self.records.get(id)
        return "already" if record and record.state is not _RUNNING and record.token == token else "lost"

    def create(self, spec: TaskSpec | TaskRecord, now: int) -> Enqueued:
        """Add a task unless its id is known or its unique key is held."""
        if spec.id in self.records:
            return Enqueued(spec.id, created=False)
        if holder := self.holder(spec.queue, spec.unique_key):
            return Enqueued(holder.id, created=False)
        self.last_seq += 1
        ready_at = now if spec.eta is None else max(spec.eta, now)
        first_of_series = spec.interval_ms is not None and spec.series_id is None
        self._note(
            TaskRecord(
                id=spec.id,
                body=spec.body,
                seq=self.last_seq,
                queue=spec.queue,
                priority=spec.priority,
                eta=spec.eta,
                max_attempts=spec.max_attempts,
                unique_key=spec.unique_key,
                expires_at=spec.expires_at,
                interval_ms=spec.interval_ms,
                series_id=spec.id if first_of_series else spec.series_id,
                nominal_at=ready_at if first_of_series else spec.nominal_at,
                pinned=spec.pinned,
                ready_at=ready_at,
                enqueued_at=now,
            ),
            EventType.ENQUEUED,
            now,
        )
        return Enqueued(spec.id, created=True)
