"""Mutants of the memory backend: results, events and schedules."""

from __future__ import annotations

from typing import Any

import attrs

from omniq_conformance.mutants.mutant import Mutants
from omniq_memory.event_log import EventLog
from omniq_memory.events import MemoryEventStorage
from omniq_memory.results import MemoryResultStorage
from omniq_memory.schedules import MemoryScheduleStorage

__all__ = ["MUTANTS"]

MUTANTS = Mutants("memory")


@MUTANTS.broken("OQ-R-01", MemoryResultStorage, "get")
async def results_live_a_millisecond_longer(original: Any, self: Any, ids: Any, *, now: int) -> Any:
    """Return a result at the time of its expiry."""
    return await original(self, ids, now=now - 1)


@MUTANTS.broken("OQ-R-01", MemoryResultStorage, "put")
async def an_older_result_replaces_a_newer_one(original: Any, self: Any, records: Any, *, now: int) -> Any:
    """Store whatever comes last."""
    await self.delete([record.id for record in records])
    return await original(self, records, now=now)


@MUTANTS.broken("OQ-R-01", MemoryResultStorage, "put")
async def expired_results_count_no_more(original: Any, self: Any, records: Any, *, now: int) -> Any:
    """Compare with results only that have not expired."""
    found = await self.get([record.id for record in records], now=now)
    await self.delete([record.id for record, old in zip(records, found, strict=True) if old is None])
    return await original(self, records, now=now)


@MUTANTS.broken("OQ-E-01", EventLog, "append")
def events_are_appended_twice(original: Any, self: EventLog, events: Any) -> Any:
    """Forget which events are known."""
    self._known.clear()
    return original(self, events)


@MUTANTS.broken("OQ-E-01", MemoryEventStorage, "trim")
async def trim_takes_what_happens_now(original: Any, self: Any, before: int, limit: int = 1000) -> Any:
    """Remove events of the given time too."""
    return await original(self, before + 1, limit)


@MUTANTS.broken("OQ-S-01", MemoryScheduleStorage, "put")
async def put_ignores_the_version(
    original: Any, self: Any, schedule: Any, *, expected_version: Any = None, now: int
) -> Any:
    """Replace whatever is there."""
    del expected_version
    return await original(self, schedule, now=now)


@MUTANTS.broken("OQ-S-01", MemoryScheduleStorage, "advance")
async def advance_ignores_the_version(original: Any, self: Any, advances: Any) -> Any:
    """Move a schedule that was moved already."""
    stored = await self.get([advance.id for advance in advances])
    return await original(
        self,
        [
            advance if schedule is None else attrs.evolve(advance, expected_version=schedule.version)
            for advance, schedule in zip(advances, stored, strict=True)
        ],
    )


@MUTANTS.broken("OQ-S-01", MemoryScheduleStorage, "due")
async def schedules_are_late_by_a_millisecond(original: Any, self: Any, limit: int = 100, *, now: int) -> Any:
    """Return what is due only after its time."""
    return await original(self, limit, now=now - 1)
