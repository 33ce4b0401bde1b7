"""Each case about liveness can fail: a backend that is broken in just that way does not pass it."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from breaking import assert_caught, outcome, verdict

from omniq.storage import transitions
from omniq_conformance.outcomes import Status
from omniq_memory.events import MemoryEventStorage
from omniq_memory.handle import MemoryHandle
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable
from omniq_sqlite import claiming
from omniq_sqlite.conformance import SQLiteHarness


def ten_at_most(original, self, queues, now, journal):
    stale = [task for queue in queues for task in queue.running.values() if (task.lease_until or 0) <= now]
    for task in stale[10:]:
        task.lease_until += 10**9
    return original(self, queues, now, journal)


def backwards(original, self, queues, now, journal):
    return original(self, queues, now, journal)[::-1]


def attempts_for_ever(original, record, now):
    record.attempts = min(record.attempts, record.max_attempts - 1)
    return original(record, now)


def low_first(original, self, names, *args):
    for queue in self.known(names):
        queue.ranked.reverse()
    try:
        return original(self, names, *args)
    finally:
        for queue in self.known(names):
            queue.ranked.reverse()


async def paused_ones_too(original, self, queues):
    paused = [index for index in self._tasks.known(queues) if index.paused]
    for index in paused:
        index.paused = False
    at = await original(self, queues)
    for index in paused:
        index.paused = True
    return at


async def half(original, self, before, limit=1000):
    return await original(self, before, limit // 2)


async def shortsighted(original, self, limit=1000, *, min_age_ms=0, now=None):
    looked_at = await original(self, 1000, now=2**43)
    return [entry for entry in await original(self, limit, min_age_ms=min_age_ms, now=now) if entry in looked_at]


def slowly(original, self, *args):
    for _ in range(1000 * sum(index.pending for index in self.queues.values())):
        pass
    return original(self, *args)


BROKEN = {
    "OQ-Q-1401": (TaskTable, "recover", lambda original, *args: []),
    "OQ-Q-1402": (TaskTable, "recover", backwards),
    "OQ-Q-1404": (TaskTable, "recover", ten_at_most),
    "OQ-Q-1405": (transitions, "recover", attempts_for_ever),
    "OQ-Q-1406": (TaskTable, "claim", low_first),
    "OQ-Q-1407": (MemoryTaskQueue, "next_at", paused_ones_too),
    "OQ-Q-1408": (TaskTable, "claim", slowly),
    "OQ-Q-1409": (MemoryTaskQueue, "outbox", shortsighted),
    "OQ-X-1401": (MemoryEventStorage, "trim", half),
}


@pytest.mark.parametrize("id", BROKEN)
def test_a_broken_backend_does_not_pass(id, harness):
    assert_caught(id, harness, *BROKEN[id])
    assert verdict(id, SQLiteHarness()) is Status.PASS


def test_expired_tasks_that_are_granted_behind_a_full_sweep_are_seen():
    ready = claiming._READY.replace("AND (expires_at IS NULL OR expires_at > :now)", "")
    with patch.object(claiming, "_READY", ready):
        assert verdict("OQ-Q-1403", SQLiteHarness()) is Status.FAIL
    assert verdict("OQ-Q-1403", SQLiteHarness()) is Status.PASS


def test_a_sweep_that_is_too_large_to_be_made_is_told(harness):
    original = MemoryHandle.__init__

    def large(self, state):
        original(self, state)
        object.__setattr__(self._capabilities, "max_sweep", 10**6)

    with patch.object(MemoryHandle, "__init__", large):
        found = outcome("OQ-Q-1402", harness)
    assert found.status is Status.UNVERIFIED
    assert "max_sweep is 1000000" in found.reason
