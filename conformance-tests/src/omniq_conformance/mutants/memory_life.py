"""Mutants of the memory backend: order, time, ends, series and retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.status import TaskStatus
from omniq.storage import transitions
from omniq_conformance.mutants.mutant import Mutants
from omniq_memory import task_table
from omniq_memory.queue_index import QueueIndex
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.record import TaskRecord

__all__ = ["MUTANTS"]

MUTANTS = Mutants("memory")


def _queue(owner: Any, attribute: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return MUTANTS.broken("OQ-Q-01", owner, attribute)


# Order and time


@_queue(QueueIndex, "lane")
def priority_is_inverted(original: Any, self: QueueIndex, priority: int) -> Any:
    """Let the lowest priority go first."""
    lane = original(self, priority)
    self.ranked.sort(key=lambda each: each.priority)
    return lane


@_queue(TaskTable, "claim")
def grants_come_in_reverse(original: Any, self: TaskTable, *rest: Any) -> Any:
    """Grant the right tasks in the wrong order."""
    return original(self, *rest)[::-1]


@_queue(task_table, "take_ready")
def eta_is_exclusive(original: Any, queues: Any, limit: int, now: int) -> Any:
    """Start tasks only after the millisecond of their eta."""
    return original(queues, limit, now - 1)


@_queue(transitions, "fail")
def retry_delay_is_ignored(original: Any, record: TaskRecord, now: int, *, error: str, retry_at: int | None) -> Any:
    """Retry at once."""
    return original(record, now, error=error, retry_at=None if retry_at is None else now)


@_queue(transitions, "is_expired")
def expiry_of_a_holder_is_exclusive(original: Any, record: TaskRecord, now: int) -> Any:
    """Let a holder of a unique key have its last millisecond."""
    return original(record, now - 1)


@_queue(MemoryTaskQueue, "next_at")
async def next_at_knows_no_pause(original: Any, self: Any, queues: Sequence[str]) -> Any:
    """Count paused queues as well."""
    indexes = self._tasks.known(queues)
    paused = [index.paused for index in indexes]
    for index in indexes:
        index.paused = False
    try:
        return await original(self, queues)
    finally:
        for index, was in zip(indexes, paused, strict=True):
            index.paused = was


# Ends


@_queue(TaskTable, "_release")
def expiry_keeps_the_unique_key(original: Any, self: TaskTable, task: TaskRecord) -> None:
    """Let an expired task go on holding its unique key."""
    if task.error != transitions.EXPIRED:
        original(self, task)


@_queue(transitions, "cancel")
def cancel_of_a_run_is_a_no_op(original: Any, record: TaskRecord, now: int) -> Any:
    """Answer `requested`, and request nothing."""
    return None if record.state is TaskStatus.RUNNING else original(record, now)


@_queue(transitions, "fail")
def failing_forgets_the_cancel(original: Any, record: TaskRecord, now: int, **rest: Any) -> Any:
    """Retry a run whose cancel was requested."""
    return original(attrs.evolve(record, cancel_requested=False), now, **rest)


@_queue(transitions, "recover")
def recovery_forgets_the_cancel(original: Any, record: TaskRecord, now: int) -> Any:
    """Run a task again whose cancel was requested."""
    return original(attrs.evolve(record, cancel_requested=False), now)


@_queue(transitions, "redrive")
def redrive_keeps_the_expiry(original: Any, record: TaskRecord, now: int) -> Any:
    """Open an expired task again so that it expires at once."""
    step = original(record, now)
    del step.changes["expires_at"]
    return step


@_queue(TaskTable, "enqueue")
def a_known_id_is_replaced_once_it_ended(original: Any, self: TaskTable, specs: Any, now: int, journal: Any) -> Any:
    """Forget an ended task when its id comes again."""
    for spec in specs:
        task = self.records.get(spec.id)
        if task is not None and task.state.is_terminal:
            self.forget(task)
    return original(self, specs, now, journal)


# Series


@_queue(transitions, "successor")
def a_lost_run_ends_its_series(original: Any, record: TaskRecord, step: Any, now: int) -> Any:
    """Enqueue no next run after one that lost its last lease."""
    return None if step.changes.get("error") == transitions.LEASE_EXPIRED else original(record, step, now)


@_queue(transitions, "successor")
def a_series_drifts(original: Any, record: TaskRecord, step: Any, now: int) -> Any:
    """Count the interval from the end of the run."""
    spec = original(record, step, now)
    return None if spec is None else attrs.evolve(spec, eta=now + (record.interval_ms or 0))


@_queue(transitions, "successor")
def a_cancelled_series_goes_on(original: Any, record: TaskRecord, step: Any, now: int) -> Any:
    """Enqueue the next run though a cancel was requested."""
    return original(attrs.evolve(record, cancel_requested=False), step, now)


# Retention and reads


@_queue(MemoryTaskQueue, "purge")
async def purge_takes_what_ends_now(original: Any, self: Any, states: Any, before: int, *rest: Any, **more: Any) -> Any:
    """Remove tasks that ended at the given time too."""
    return await original(self, states, before + 1, *rest, **more)


@_queue(MemoryTaskQueue, "purge")
async def purge_knows_no_pins(original: Any, self: Any, *rest: Any, pinned_before: int | None = None) -> Any:
    """Remove pinned tasks like all others."""
    del pinned_before
    return await original(self, *rest)


@_queue(MemoryTaskQueue, "held")
async def held_asks_for_no_worker(original: Any, self: Any, worker: str, claim_id: str) -> Any:
    """Return what another worker holds."""
    del worker
    found = {task.worker for task in self._tasks.records.values() if task.nonce == claim_id and task.worker}
    return [grant for each in found for grant in await original(self, each, claim_id)]


@_queue(MemoryTaskQueue, "list")
async def descending_pages_overlap(original: Any, self: Any, *rest: Any, **more: Any) -> Any:
    """Return the last record of a page again on the next."""
    if more.get("desc") and more.get("after") is not None:
        more["after"] += 1
    return await original(self, *rest, **more)
