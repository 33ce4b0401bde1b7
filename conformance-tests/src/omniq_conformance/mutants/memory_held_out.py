"""Mutants of the memory backend that were made after the cases, and that no case was made or changed for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.mutants.mutant import Mutants
from omniq_memory.queue_index import NEVER, QueueIndex
from omniq_memory.results import MemoryResultStorage
from omniq_memory.task_queue import MemoryTaskQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MUTANTS"]

MUTANTS = Mutants("memory", held_out=True)


@MUTANTS.broken("OQ-Q-01", MemoryTaskQueue, "_redrive")
def redrive_takes_the_unique_key_away(original: Any, self: Any, task_id: str, at: int) -> Any:
    """Open a task again though another one holds its key."""
    record = self._tasks.records.get(task_id)
    if record is not None and record.state.is_terminal:
        self._tasks.holders.pop((record.queue, record.unique_key), None)
    return original(self, task_id, at)


@MUTANTS.broken("OQ-Q-01", MemoryTaskQueue, "resume")
async def resume_takes_one_queue_only(original: Any, self: Any, queues: Sequence[str]) -> None:
    """Leave all but the first queue paused."""
    await original(self, queues[:1])


@MUTANTS.broken("OQ-Q-01", MemoryTaskQueue, "outbox_ack")
async def an_acknowledgement_takes_the_whole_task(original: Any, self: Any, entries: Any) -> None:
    """Forget the other entries of the task too."""
    seqs = {entry.seq for entry in entries}
    await original(self, [entry for entry in self._tasks.outbox.read(1_000_000, 1 << 62) if entry.seq in seqs])


@MUTANTS.broken("OQ-Q-01", QueueIndex, "next_at")
def next_at_of_a_paused_queue_is_never(original: Any, self: QueueIndex) -> int:
    """Forget the leases of a queue that is paused."""
    at: int = original(self)
    return NEVER if self.paused else at


@MUTANTS.broken("OQ-R-01", MemoryResultStorage, "put")
async def a_result_stored_again_lives_from_its_first_time(original: Any, self: Any, records: Any, *, now: int) -> Any:
    """Keep the earlier end of two times to live."""
    kept = await self.get([record.id for record in records], now=now)
    ends = [None if old is None or old.expires_at is None else old.expires_at - now for old in kept]
    sooner = [
        attrs.evolve(new, ttl_ms=end if new.ttl_ms is None else min(new.ttl_ms, end)) if end is not None else new
        for new, end in zip(records, ends, strict=True)
    ]
    return await original(self, sooner, now=now)
