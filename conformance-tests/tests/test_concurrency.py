"""The checks of concurrent histories find what they are there for."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import attrs
import pytest

from omniq_conformance.cases import concurrent
from omniq_conformance.concurrency import crew
from omniq_conformance.concurrency.actor import Actor
from omniq_conformance.concurrency.checks import check_history
from omniq_conformance.concurrency.history import Operation, Plan
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.references import harness_from, reference_to
from omniq_conformance.space import Mode, Space
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable

PLAN = Plan(seed=1, actors=4, tasks=40, joined=False)


def history(harness, act=crew.handles, plan=PLAN):
    async def run():
        async with Space(harness, Mode.JOINED if plan.joined else Mode.SEPARATE) as space:
            return await concurrent._history(space, act, plan)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def recorded(harness):
    """A good history: operations, records and events."""

    async def run():
        async with Space(harness) as space:
            stores = await space.open()
            last = Actor(stores.task_queue, "last", PLAN)
            operations = await crew.handles(space, PLAN)
            await concurrent._drain(last, stores)
            records = await stores.task_queue.list(limit=10_000)
            return [*operations, *last.operations], records, await stores.task_queue.outbox(10_000)

    return asyncio.run(run())


def check(operations, records, events):
    return check_history(operations, records, events, exact_order=True, clock_error_ms=0)


def test_a_good_history_has_no_faults(recorded):
    assert check(*recorded) == []


def test_operations_survive_json(recorded):
    for operation in recorded[0]:
        again = Operation.from_json(operation.to_json())
        assert again.to_json() == operation.to_json()


def test_a_lost_task_is_found(recorded):
    operations, records, events = recorded
    assert any("is lost" in fault for fault in check(operations, records[1:], events))


def test_a_lost_event_is_found(recorded):
    operations, records, events = recorded
    assert check(operations, records, events[:-1]) != []


def test_a_token_granted_twice_is_found(recorded):
    operations, records, events = recorded
    claim = next(each for each in operations if each.name == "claim" and each.replies)
    twin = attrs.evolve(claim, actor="twin")
    assert any(fault.startswith("I1: token") for fault in check([*operations, twin], records, events))


def test_a_settling_that_was_told_and_did_not_happen_is_found(recorded):
    operations, records, events = recorded
    settled = next(each for each in operations if each.name == "complete" and "ok" in each.replies)
    assert any(fault.startswith("I2") for fault in check([*operations, settled], records, events))
    others = [each for each in operations if each is not settled]
    assert any(fault.startswith("I2") for fault in check(others, records, events))


def test_a_task_created_twice_is_found(recorded):
    operations, records, events = recorded
    made = next(each for each in operations if each.name == "enqueue" and each.replies[0][1])
    assert any("actors were told that they created" in fault for fault in check([*operations, made], records, events))


def test_an_empty_answer_while_a_task_was_ready_is_found(recorded):
    operations, records, events = recorded
    made = next(each for each in operations if each.name == "enqueue" and each.items[0][4] and each.replies[0][1])
    empty = attrs.evolve(
        made,
        name="claim",
        began=made.ended + 1,
        ended=made.ended + 2,
        items=[1, [made.items[0][2]]],
        replies=[],
    )
    assert any(fault.startswith("I5'") for fault in check([*operations, empty], records, events))


async def _shared_claim(original, running, self, *args, **kwargs):
    """Let claims that overlap have one answer."""
    key = self._shared.domain
    if key in running:
        await asyncio.sleep(0)
        return running.get(key, [])
    running[key] = []
    await asyncio.sleep(0)
    running[key] = await original(self, *args, **kwargs)
    await asyncio.sleep(0)
    return running.pop(key)


def test_a_backend_that_grants_twice_is_found(harness):
    original, running = MemoryTaskQueue.claim, {}

    async def claim(self, *args, **kwargs):
        return await _shared_claim(original, running, self, *args, **kwargs)

    with patch.object(MemoryTaskQueue, "claim", claim), pytest.raises(DivergenceError, match="I1: token"):
        history(harness)


def test_a_backend_that_answers_before_it_writes_is_found(harness, monkeypatch):
    monkeypatch.setattr(concurrent, "_DRAIN", 0.3)  # what was not written is not given back before its lease is over
    original = MemoryTaskQueue.complete
    calls = iter(range(10**6))

    async def complete(self, items, *, now=None):
        if next(calls) % 10 == 3:
            return ["ok"] * len(items)
        return await original(self, items, now=now)

    with patch.object(MemoryTaskQueue, "complete", complete), pytest.raises(DivergenceError, match="I2"):
        history(harness)


def test_a_backend_that_takes_runs_away_too_early_is_found(harness):
    original = TaskTable.claim

    def claim(self, names, limit, worker, lease_ms, nonce, now, journal):
        for queue in self.queues.values():
            queue.lease_floor = 0
            for task in queue.running.values():
                if now < task.lease_until < now + 15:
                    task.lease_until = now
        return original(self, names, limit, worker, lease_ms, nonce, now, journal)

    with patch.object(TaskTable, "claim", claim), pytest.raises(DivergenceError, match="was taken away at"):
        history(harness)


def test_a_backend_that_leaves_work_behind_is_found(harness):
    original = TaskTable.claim

    def claim(self, names, limit, *rest):
        return original(self, names, limit if len(names) > 1 else limit - 1, *rest)

    with patch.object(TaskTable, "claim", claim), pytest.raises(DivergenceError, match="I5'"):
        history(harness)


def test_a_harness_gets_into_another_process(tmp_path):
    path = tmp_path / "harnesses.py"
    path.write_text("class Named:\n    def __init__(self, name):\n        self.name = name\n")
    namespace = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    kind = namespace["Named"]
    kind.__module__ = "harnesses"
    with patch("inspect.getfile", return_value=str(path)):
        reference = reference_to(kind("x"))
    again = harness_from(reference)
    assert (type(again).__name__, again.name) == ("Named", "x")
