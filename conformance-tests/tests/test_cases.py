"""Each table case can fail: a backend that is broken in just that way does not pass it."""

from __future__ import annotations

import asyncio
import os
from unittest.mock import patch

import attrs
import pytest

from omniq_conformance.cases import ending, waking
from omniq_conformance.cases.timing import LateError, in_time, measured
from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items
from omniq_memory import schedules, task_queue
from omniq_memory.events import MemoryEventStorage
from omniq_memory.handle import MemoryHandle
from omniq_memory.results import MemoryResultStorage
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable
from omniq_memory.waiting import Board

ITEMS = {item.id: item for item in items()}


def verdict(id, harness):
    return run_item(ITEMS[id], harness, PROFILES["smoke"]).status


def broken(owner, attribute, change):
    original = getattr(owner, attribute)
    return patch.object(owner, attribute, lambda *args, **more: change(original, *args, **more))


def folded(original, self, specs, now, journal):
    return original(self, [attrs.evolve(each, id=each.id.casefold()) for each in specs], now, journal)


def stripped(original, self, specs, now, journal):
    return original(self, [attrs.evolve(each, queue=each.queue.strip() or "-") for each in specs], now, journal)


def keys_folded(original, self, specs, now, journal):
    def fold(key):
        return None if key is None else key.casefold()

    return original(self, [attrs.evolve(each, unique_key=fold(each.unique_key)) for each in specs], now, journal)


def cut_at_nul(original, self, specs, now, journal):
    bodies = [attrs.evolve(each.body, args=each.body.args.partition(b"\0")[0]) for each in specs]
    return original(
        self, [attrs.evolve(each, body=body) for each, body in zip(specs, bodies, strict=True)], now, journal
    )


async def as_text(original, self, records, *, now=None):
    values = [None if each.value is None else each.value.decode(errors="replace").encode() for each in records]
    return await original(
        self, [attrs.evolve(each, value=value) for each, value in zip(records, values, strict=True)], now=now
    )


async def a_millisecond_early(original, self, queues, limit, worker, lease_ms, claim_id, *, now=None):
    return await original(self, queues, limit, worker, lease_ms, claim_id, now=None if now is None else now + 1)


async def skipping(original, self, *args, **more):
    found = await original(self, *args, **more)
    return found[1:] if more.get("after") is not None and len(found) > 1 else found


def seq_again(original, self, specs, now, journal):
    self._seq = max((task.seq for task in self.records.values()), default=0)
    return original(self, specs, now, journal)


async def leaking(original, self):
    os.dup(0)
    await original(self)


async def from_the_start(original, self, *, after=None, **more):
    return await original(self, after=None, **more)


def nothing(original, *args, **more):
    return None


async def nothing_async(original, *args, **more):
    return None


BROKEN = {
    "OQ-Q-0501": (TaskTable, "enqueue", folded),
    "OQ-Q-0502": (TaskTable, "enqueue", stripped),
    "OQ-Q-0503": (TaskTable, "enqueue", keys_folded),
    "OQ-Q-0504": (TaskTable, "enqueue", cut_at_nul),
    "OQ-R-0502": (MemoryResultStorage, "put", as_text),
    "OQ-Q-0511": (task_queue, "check_specs", nothing),
    "OQ-Q-0512": (task_queue, "check_specs", nothing),
    "OQ-Q-0513": (task_queue, "check_specs", nothing),
    "OQ-Q-0514": (task_queue, "check_specs", nothing),
    "OQ-Q-0516": (task_queue, "check_results", nothing),
    "OQ-S-0511": (schedules, "check_schedule", nothing),
    "OQ-Q-0601": (TaskTable, "claim", lambda original, *args: original(*args)[::-1]),
    "OQ-Q-0602": (TaskTable, "claim", lambda original, *args: original(*args)[::-1]),
    "OQ-Q-0701": (MemoryTaskQueue, "claim", a_millisecond_early),
    "OQ-Q-0702": (MemoryTaskQueue, "claim", a_millisecond_early),
    "OQ-Q-0801": (MemoryTaskQueue, "list", skipping),
    "OQ-R-0801": (MemoryResultStorage, "list", skipping),
    "OQ-E-0801": (MemoryEventStorage, "read", skipping),
    "OQ-E-0802": (MemoryEventStorage, "read", from_the_start),
    "OQ-Q-0902": (TaskTable, "enqueue", seq_again),
    "OQ-X-0901": (MemoryHandle, "close", nothing_async),
    "OQ-X-0902": (MemoryHandle, "close", nothing_async),
    "OQ-X-0903": (MemoryHandle, "open", leaking),
    "OQ-Q-1001-separate": (Board, "wake", nothing),
    "OQ-Q-1010-joined": (Board, "wake", nothing),
    "OQ-E-1001": (Board, "wake", nothing),
}


@pytest.mark.parametrize("id", BROKEN)
def test_a_broken_backend_does_not_pass(id, harness, monkeypatch):
    monkeypatch.setattr(waking, "PATIENCE", 1.0)
    monkeypatch.setattr(ending, "PATIENCE", 1.0)
    with broken(*BROKEN[id]):
        assert verdict(id, harness) is Status.FAIL
    assert verdict(id, harness) is Status.PASS


def test_a_case_that_was_late_once_is_run_again():
    runs = []

    @measured
    async def late_once(trial):
        runs.append(trial)
        if len(runs) == 1:
            in_time(0.0, 1.0, "something had happened")

    asyncio.run(late_once("trial"))
    assert runs == ["trial", "trial"]


def test_a_case_that_is_always_late_fails():
    @measured
    async def late(trial):
        in_time(0.0, 1.0, "something had happened")

    with pytest.raises(LateError, match=r"s until something had happened; allowed are 1\.00 s"):
        asyncio.run(late("trial"))
