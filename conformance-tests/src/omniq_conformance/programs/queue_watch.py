"""Counts the noteworthy things that queue programs do, so that a family that does nothing is noticed."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

from omniq.models.event import EventType
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import Token
    from omniq_conformance.model.task_queue import TaskQueueModel

__all__ = ["QUEUE_SOMETIMES", "RELAY_SOMETIMES", "QueueWatch"]

_ENDS = (EventType.COMPLETED, EventType.FAILED, EventType.EXPIRED)

QUEUE_SOMETIMES: frozenset[str] = frozenset(
    {
        *(f"event {kind.value}" for kind in EventType if not kind.value.startswith("SCHEDULE")),
        *(f"complete {reply}" for reply in ("ok", "already", "lost")),
        *(f"fail {reply}" for reply in ("PENDING", "FAILED", "CANCELLED", "already", "lost")),
        *(f"release {reply}" for reply in ("PENDING", "CANCELLED", "already", "lost")),
        *(f"heartbeat {reply}" for reply in ("ok", "cancel", "lost")),
        *(f"cancel {reply}" for reply in ("cancelled", "requested", "finished", "missing")),
        *(f"redrive {reply}" for reply in ("ok", "invalid", "conflict", "missing")),
        *(f"next run after {kind.value}" for kind in _ENDS),
        "next run after lease expired",
        "next run skips missed times",
        "series stopped by a cancel",
        "duplicate id",
        "duplicate unique key",
        "unique key freed by an expired holder",
        "claim has more than its limit",
        "claim passes over a paused queue",
        "claim from two queues",
        "claim prefers priority to age",
        "recovered in claim",
        "expired in claim",
        "fenced off by a newer claim",
        "fenced off by a newer task of the same id",
        "settled after the lease",
        "heartbeat after the lease",
        "held some",
        "purged some",
        "purge held back by the outbox or the limit",
        "clock moved back",
        "reopened while running",
        "reopened while paused",
        "handle 1",
        "handle 2",
    }
)
"""What the queue family must have seen, or it is vacuous."""

RELAY_SOMETIMES = frozenset({"relayed", "relayed again"})
"""What else it must have seen where events are not joined."""


class QueueWatch:
    """Watches a model.

    Attributes:
        seen: How often each thing happened.
        steps: The number of the call that made each event, by event id.
    """

    def __init__(self, model: TaskQueueModel) -> None:
        self.model = model
        self.seen: Counter[str] = Counter()
        self.steps: dict[str, int] = {}
        self._calls = 0

    def called(self, method: str, args: Sequence[Any], answer: Any, before: int) -> None:
        """Note an operation that was just made, with the length of the log before it."""
        self._calls += 1
        log = self.model.store.log
        for number in range(before, len(log)):
            self._logged(method, number, before)
        if method in {"complete", "fail", "release", "heartbeat", "cancel", "redrive"}:
            self.seen.update(f"{method} {reply}" for reply in answer)
        elif method == "enqueue":
            for spec, reply in zip(args[0], answer, strict=True):
                if not reply.created:
                    self.seen["duplicate id" if reply.id == spec.id else "duplicate unique key"] += 1
        elif method == "held":
            self.seen["held some"] += bool(answer)
        elif method == "purge":
            self.seen["purged some"] += bool(answer)
            self.seen["purge held back by the outbox or the limit"] += len(answer) < self._purgeable

    def _logged(self, method: str, number: int, before: int) -> None:
        event = self.model.store.log[number]
        self.steps[event.event_id] = self._calls
        self.seen[f"event {event.type.value}"] += 1
        if event.type is EventType.EXPIRED and method == "enqueue":
            self.seen["unique key freed by an expired holder"] += 1
        if method == "claim" and event.type is EventType.LEASE_EXPIRED:
            self.seen["recovered in claim"] += 1
        if method == "claim" and event.type is EventType.EXPIRED:
            self.seen["expired in claim"] += 1
        record = self.model.store.records[event.task_id]
        if event.type is EventType.ENQUEUED and number > before and record.series_id not in {None, event.task_id}:
            self._next_run(number)
        if event.type is EventType.CANCELLED and record.series_id is not None:
            self.seen["series stopped by a cancel"] += 1

    def _next_run(self, number: int) -> None:
        ended, run = self.model.store.log[number - 1], self.model.store.log[number]
        self.seen[f"next run after {ended.type.value}"] += 1
        if ended.error == "lease expired":
            self.seen["next run after lease expired"] += 1
        old, new = (self.model.store.records[event.task_id] for event in (ended, run))
        if new.nominal_at is not None and new.nominal_at > (old.nominal_at or 0) + (old.interval_ms or 0):
            self.seen["next run skips missed times"] += 1

    def claiming(self, queues: Sequence[str], limit: int, now: int) -> None:
        """Look at the tasks before a claim."""
        ready = self.model.ready(queues, now)
        waiting = [r for r in self.model.store.records.values() if r.state is TaskStatus.PENDING and r.ready_at <= now]
        self.seen["claim has more than its limit"] += len(ready) > limit
        self.seen["claim passes over a paused queue"] += any(
            r.queue in queues and r.queue in self.model.store.paused for r in waiting
        )
        self.seen["claim from two queues"] += len({r.queue for r in ready[:limit]}) > 1
        self.seen["claim prefers priority to age"] += any(
            first.priority > second.priority and (first.ready_at, first.seq) > (second.ready_at, second.seq)
            for first, second in itertools.pairwise(ready)
        )

    def settling(self, method: str, named: Sequence[tuple[str, Token]], now: int) -> None:
        """Look at the tasks before they are settled."""
        for id, token in named:
            record = self.model.store.records.get(id)
            if record is None or record.state is not TaskStatus.RUNNING:
                continue
            if record.token == token:
                late = record.lease_until is not None and record.lease_until <= now
                self.seen["heartbeat after the lease" if method == "heartbeat" else "settled after the lease"] += late
            elif record.seq == token.seq:
                self.seen["fenced off by a newer claim"] += 1
            elif token.seq < record.seq:
                self.seen["fenced off by a newer task of the same id"] += 1

    def purging(self, states: frozenset[TaskStatus], before: int) -> None:
        """Look at the tasks before a purge."""
        records = self.model.store.records.values()
        self._purgeable = sum(r.state in states and (r.finished_at or before) < before for r in records)

    def clock(self, now: int, target: int) -> None:
        """Note a move of the clock."""
        self.seen["clock moved back"] += target < now

    def reopened(self) -> None:
        """Note that all handles are closed and opened again."""
        running = any(r.state is TaskStatus.RUNNING for r in self.model.store.records.values())
        self.seen["reopened while running"] += running
        self.seen["reopened while paused"] += bool(self.model.store.paused)
