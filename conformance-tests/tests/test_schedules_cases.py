"""The cases of schedules can fail: each has a broken backend that it catches."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from unittest.mock import patch
from zoneinfo import ZoneInfo

import attrs
import pytest
from breaking import assert_caught, outcome, verdict

from omniq.models.status import TERMINAL
from omniq_conformance.cases import schedules as cases
from omniq_conformance.outcomes import Status
from omniq_memory.schedules import MemoryScheduleStorage
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_sqlite.conformance import SQLiteHarness
from omniq_sqlite.schedules import SQLiteScheduleStorage

HOUR = 3_600_000


async def an_hour_early(original, self, limit=100, *, now=None):
    return await original(self, limit, now=None if now is None else now + HOUR)


async def a_second_coarse(original, self, schedule, *, expected_version=None, now=None):
    rounded = attrs.evolve(schedule, next_run=schedule.next_run // 1000 * 1000, jitter_ms=schedule.jitter_ms // 1000)
    return await original(self, rounded, expected_version=expected_version, now=now)


async def in_utc(original, self, schedule, *, expected_version=None, now=None):
    return await original(self, attrs.evolve(schedule, zone="UTC"), expected_version=expected_version, now=now)


async def also_paused(original, self, limit=100, *, now=None):
    return [s for s in await self.list(limit=limit) if s.next_run is not None and s.next_run <= now]


async def forgets_the_time(original, self, ids):
    found = await self.get(ids)
    for schedule in found:
        if schedule is not None:
            await self.put(attrs.evolve(schedule, next_run=None), now=schedule.created_at)
    return await original(self, ids)


async def whatever_the_version(original, self, advances):
    """Look, let others act, and write."""
    found = await self.get([advance.id for advance in advances])
    await asyncio.sleep(0.002)
    current = {schedule.id: schedule.version for schedule in found if schedule is not None}
    stored = {s.id: s.version for s in await self.get(list(current)) if s is not None}
    return await original(self, [attrs.evolve(each, expected_version=stored[each.id]) for each in advances])


async def counts_one(original, self, advances):
    return await original(self, [attrs.evolve(advance, fired=min(1, advance.fired)) for advance in advances])


async def makes_ended_tasks_again(original, self, specs, *, now=None):
    known = await self.get([spec.id for spec in specs])
    ended = [record for record in known if record is not None and record.state in TERMINAL]
    entries = await self.outbox(now=2**43)
    await self.outbox_ack([entry for entry in entries if entry.task_id in {record.id for record in ended}])
    for record in ended:
        await self.purge(frozenset({record.state}), record.finished_at + 1)
    return await original(self, specs, now=now)


BROKEN = [
    ("OQ-X-1101-separate", MemoryScheduleStorage, "due", an_hour_early),
    ("OQ-X-1101-joined", MemoryScheduleStorage, "put", in_utc),
    ("OQ-S-1102", MemoryScheduleStorage, "put", a_second_coarse),
    ("OQ-S-1102", MemoryScheduleStorage, "put", in_utc),
    ("OQ-S-1103", MemoryScheduleStorage, "due", also_paused),
    ("OQ-S-1103", MemoryScheduleStorage, "pause", forgets_the_time),
    ("OQ-X-1104-separate", MemoryScheduleStorage, "advance", whatever_the_version),
    ("OQ-X-1105-separate", MemoryScheduleStorage, "advance", counts_one),
    ("OQ-X-1106", MemoryTaskQueue, "enqueue", makes_ended_tasks_again),
    ("OQ-X-1110-separate", MemoryScheduleStorage, "advance", whatever_the_version),
    ("OQ-X-1111-separate", MemoryScheduleStorage, "advance", whatever_the_version),
    ("OQ-X-1112-separate", MemoryScheduleStorage, "advance", whatever_the_version),
]


@pytest.mark.parametrize(("id", "owner", "attribute", "change"), BROKEN)
def test_a_broken_backend_does_not_pass(id, owner, attribute, change, harness):
    assert_caught(id, harness, owner, attribute, change)


@pytest.mark.parametrize("id", ["OQ-X-1104-joined", "OQ-X-1110-joined", "OQ-X-1111-joined"])
def test_a_fire_without_compare_and_set_does_not_pass(id, harness):
    async def fire(self, specs, advance, *, now=None):
        replies = await self.enqueue(specs, now=now)
        storage = MemoryScheduleStorage(self._shared)
        async with storage:
            (schedule,) = await storage.get([advance.id])
            await storage.advance([attrs.evolve(advance, expected_version=schedule.version)])
        return replies

    with patch.object(MemoryTaskQueue, "fire", fire):
        assert verdict(id, harness) is Status.FAIL
    assert verdict(id, harness) is Status.PASS


def test_processes_race_and_one_is_killed():
    found = outcome("OQ-X-1113-separate", SQLiteHarness())
    assert (found.status, found.reason) == (Status.PASS, "")
    assert_caught("OQ-X-1110-separate", SQLiteHarness(), SQLiteScheduleStorage, "due", nothing_is_due)


async def nothing_is_due(original, self, limit=100, *, now=None):
    return []


@pytest.mark.parametrize(("zone", "day"), cases.DAYS)
def test_the_clocks_of_every_day_jump(zone, day):
    times = cases._quarters(zone, day)
    offsets = [datetime.fromtimestamp(time / 1000, UTC).astimezone(ZoneInfo(zone)).utcoffset() for time in times]
    assert len(set(offsets)) == 2
