"""Each case about clocks can fail: a backend that is broken in just that way does not pass it."""

from __future__ import annotations

import attrs
import pytest
from breaking import assert_caught, broken, verdict

from omniq_conformance.outcomes import Status
from omniq_memory import schedules, task_queue
from omniq_memory.events import MemoryEventStorage
from omniq_memory.journal import Outbox
from omniq_memory.result_table import ResultTable
from omniq_memory.schedules import MemoryScheduleStorage
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable
from omniq_sqlite.conformance import SQLiteHarness


async def a_minute_ahead(original, self, *args, now=None):
    return await original(self, *args, now=None if now is None else now + 60_000)


def whatever_the_token(original, self, items, now, journal):
    current = [item._replace(token=self.records[item.id].token) for item in items if item.id in self.records]
    return original(self, current, now, journal)


def shortens_leases(original, self, item, at, lease_ms):
    reply = original(self, item, at, lease_ms)
    if reply == "ok":
        self._tasks.records[item[0]].lease_until = at + lease_ms
    return reply


def by_time(original, self, limit, latest):
    return sorted(original(self, limit, latest), key=lambda entry: entry.at)


async def early(original, self, *args, now=None):
    return await original(self, *args, now=None if now is None else now + 1)


async def later(original, self, specs, *, now=None):
    if now is None:
        specs = [attrs.evolve(spec, eta=await self.time() + 50) for spec in specs]
    return await original(self, specs, now=now)


def latest_wins(original, self, record, now):
    old = self.outcomes.get(record.id)
    if old is not None and now > old[2]:
        del self.outcomes[record.id]
    return original(self, record, now)


async def events_by_time(original, self, **more):
    return sorted(await original(self, **more), key=lambda event: event.at)


def any_version(original, stored, step):
    old = stored.get(step.id)
    return original(stored, step if old is None else attrs.evolve(step, expected_version=old.version))


async def due_early(original, self, limit=100, *, now=None):
    return await original(self, limit, now=None if now is None else now + 3_600_000)


async def a_second_ahead(original, self):
    return await original(self) + 1000


BROKEN = {
    "OQ-Q-1301": (MemoryTaskQueue, "claim", a_minute_ahead),
    "OQ-Q-1302": (TaskTable, "complete", whatever_the_token),
    "OQ-Q-1303": (MemoryTaskQueue, "_extend", shortens_leases),
    "OQ-Q-1304-separate": (Outbox, "read", by_time),
    "OQ-Q-1304-joined": (MemoryEventStorage, "read", events_by_time),
    "OQ-Q-1305": (MemoryTaskQueue, "claim", early),
    "OQ-Q-1306": (MemoryTaskQueue, "enqueue", later),
    "OQ-R-1301": (ResultTable, "put", latest_wins),
    "OQ-E-1301": (MemoryEventStorage, "read", events_by_time),
    "OQ-S-1301-separate": (schedules, "advance_schedule", any_version),
    "OQ-S-1301-joined": (task_queue, "advance_schedule", any_version),
    "OQ-X-1301": (MemoryTaskQueue, "time", a_second_ahead),
}


@pytest.mark.parametrize("id", BROKEN)
def test_a_broken_backend_does_not_pass(id, harness):
    assert_caught(id, harness, *BROKEN[id])
    assert verdict(id, SQLiteHarness()) is Status.PASS


def test_a_schedule_that_fires_before_its_time_is_seen(harness):
    with broken(MemoryScheduleStorage, "due", due_early):
        assert verdict("OQ-S-1301-separate", harness) is Status.FAIL
