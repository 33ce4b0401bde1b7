"""Transitions of slots: the core's state machine decides, and this notes what the roles have to hear of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.config import Role
from omniq.models.record import TaskBody, TaskRecord, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TERMINAL
from omniq.storage import transitions
from omniq_nats.codec import (
    BODY,
    COMPLETED,
    EPOCH,
    ID,
    RUNNING,
    SEQ,
    STATE,
    STATES,
    VERSION,
    Slot,
    event_values,
    noted,
    outcome_options,
    record_of,
    result_values,
    row_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.storage.transitions import Step

__all__ = ["Steps", "following_spec", "is_expired"]

_NOTHING = TaskBody(func="")


class Steps:
    """Makes new slots of old ones.

    Args:
        joined: The roles that are served by the task's own message.
    """

    def __init__(self, joined: frozenset[Role]) -> None:
        self._joins_events = Role.EVENT_STORAGE in joined
        self._joins_results = Role.RESULT_STORAGE in joined
        self.is_all_joined = self._joins_events and self._joins_results

    def create(self, spec: TaskSpec, body: Any, now: int, old: Slot) -> Slot:
        """Return a new task; one with a unique key is staged.

        Args:
            spec: The task.
            body: The values of its body, or where it is kept.
            now: The time.
            old: What was under the id before: nothing, or what a purge left.
        """
        slot = Slot(spec.id, old.rev, _row(spec, body, now))
        slot.result, slot.is_logged, slot.spare = old.result, old.is_logged, old.rev
        if spec.unique_key is None:
            self.open(slot, now)
        else:
            slot.stage = 0
        return slot

    def open(self, slot: Slot, now: int) -> None:
        """Make a new task visible."""
        row = slot.head
        slot.stage = None
        row[VERSION] = 1
        self._note(slot, noted(row, "ENQUEUED", now, None, None, None), is_end=False)

    def start(self, old: Slot, now: int, worker: str, lease_ms: int, nonce: str) -> Slot:
        """Return a task that is claimed; `transitions.start` without a record, because it is the hottest of all."""
        slot = old.copy()
        row = slot.head
        row[2] += 1
        row[3] = RUNNING
        row[7] += 1
        row[8] = nonce
        row[9] += 1
        row[11] = now + lease_ms
        row[12] = worker
        row[15] = now
        self._note(slot, noted(row, "STARTED", now, worker, None, None), is_end=False)
        return slot

    def change(
        self, old: Slot, make: Callable[[TaskRecord], Step | None], now: int, given: ResultRecord | None = None
    ) -> Slot | None:
        """Return the task after a transition; None if there is none to be made.

        Args:
            old: The task.
            make: Returns the transition.
            now: The time.
            given: The outcome that the worker reported.
        """
        record = record_of(old.head, _NOTHING)
        step = make(record)
        if step is None:
            return None
        follower = transitions.successor(record, step, now)
        event = transitions.apply(record, step, now)
        slot = old.copy()
        slot.row = row_of(record, old.head[BODY])
        is_end = record.state in TERMINAL
        self._note(slot, event_values(event), is_end=is_end)
        if is_end and self._joins_results:
            slot.result = result_values(self._outcome(slot.row, given), now)
        if follower is not None and follower.nominal_at is not None:
            slot.following = (follower.nominal_at, now)
        return slot

    def _note(self, slot: Slot, values: Sequence[Any], *, is_end: bool) -> None:
        """Tell the roles that have to hear of a transition: the joined ones now, the others through the outbox."""
        if self._joins_events:
            slot.entry = values
            slot.is_logged = True
            if self._joins_results or not is_end:
                return
        slot.outbox = [*slot.outbox, (0, values)]

    def _outcome(self, row: Sequence[Any], given: ResultRecord | None) -> ResultRecord:
        """Return the result of an ended task: what the worker reported, with the state that it really got."""
        state = STATES[row[STATE]]
        completed = row[STATE] == COMPLETED
        error = None if completed else transitions.reason(state, row[17]).to_json()
        if given is not None:
            value = given.value if completed else None
            return ResultRecord(row[ID], row[SEQ], row[EPOCH], state, value, given.codec, given.error, given.ttl_ms)
        codec, ttl_ms = outcome_options(row)
        return ResultRecord(row[ID], row[SEQ], row[EPOCH], state, None, codec, error, ttl_ms)


def following_spec(slot: Slot, body: TaskBody) -> TaskSpec:
    """Return the next run of a series that a task's end promised."""
    record = record_of(slot.head, body)
    nominal_at = 0 if slot.following is None else slot.following[0]
    return TaskSpec(
        id=f"{record.series_id}@{nominal_at}",
        body=body,
        queue=record.queue,
        priority=record.priority,
        eta=nominal_at,
        max_attempts=record.max_attempts,
        unique_key=record.unique_key,
        interval_ms=record.interval_ms,
        series_id=record.series_id,
        nominal_at=nominal_at,
        pinned=record.pinned,
    )


def _row(spec: TaskSpec, body: Any, now: int) -> list[Any]:
    ready_at = now if spec.eta is None or spec.eta < now else spec.eta
    series_id, nominal_at = spec.series_id, spec.nominal_at
    if spec.interval_ms is not None:
        series_id = spec.id if series_id is None else series_id
        nominal_at = ready_at if nominal_at is None else nominal_at
    return [
        spec.id, None, 0, 0, spec.queue, spec.priority, ready_at, 0, "", 0, spec.max_attempts, None, None, False, now,
        None, None, None, spec.eta, spec.unique_key, spec.expires_at, spec.interval_ms, series_id, nominal_at,
        spec.pinned, body,
    ]  # fmt: skip


def is_expired(slot: Slot, now: int) -> bool:
    """Tell whether a task still waits although it should have started before."""
    row = slot.row
    return row is not None and row[STATE] == 0 and row[20] is not None and row[20] <= now
