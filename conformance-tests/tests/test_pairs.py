"""Programs of roles that work together: what they see, how they are replayed, and that they catch broken backends."""

from __future__ import annotations

import attrs
import pytest
from breaking import broken, verdict

from omniq_conformance import replay
from omniq_conformance.invariants import chains, check_chain, check_fold
from omniq_conformance.outcomes import DivergenceError, Status
from omniq_conformance.programs.family import run_programs
from omniq_conformance.programs.machines import machine_for
from omniq_conformance.programs.pair_templates import PAIR_TEMPLATES
from omniq_conformance.programs.pools import pool
from omniq_conformance.programs.program import Program
from omniq_conformance.space import Mode
from omniq_memory.events import MemoryEventStorage
from omniq_memory.journal import Journal, Outbox
from omniq_memory.results import MemoryResultStorage
from omniq_memory.schedules import MemoryScheduleStorage
from omniq_memory.task_queue import MemoryTaskQueue

FAMILIES = ("queue-results", "queue-events", "schedule-queue")


def run_on_the_model(program):
    machine = machine_for(program)
    for each in program.ops:
        list(machine.run(each))
    list(machine.finish())
    return machine


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", list(Mode))
def test_programs_survive_json(family, mode):
    for program in pool(family, mode, 5, 0):
        again = Program.from_json(program.to_json())
        assert run_on_the_model(again).seen == run_on_the_model(program).seen


@pytest.mark.parametrize("template", [pytest.param(each, id=each.id) for each in PAIR_TEMPLATES.values()])
def test_templates_see_what_they_name(template):
    for mode in template.modes:
        seen = run_on_the_model(template.program(mode)).seen
        assert [event for event in template.sees if not seen[event]] == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", [Mode.SEPARATE, Mode.JOINED])
def test_the_models_log_is_the_life_of_every_task(family, mode):
    for program in pool(family, mode, 20, 1):
        machine = run_on_the_model(program)
        lives = chains(machine.model.store.log)
        assert [fault for life in lives.values() for fault in check_chain(life)] == []
        for record in machine.model.store.records.values():
            assert list(check_fold(record, lives[record.id, record.seq])) == []
        assert not machine.model.store.unacknowledged or family == "schedule-queue"


def forgets(original, self, *args, **more):
    return None


async def stores_nothing(original, self, records, *, now=None):
    return [True for _ in records]


async def does_not_overwrite(original, self, records, *, now=None):
    known = await self.get([record.id for record in records], now=now)
    new = [record for record, old in zip(records, known, strict=True) if old is None]
    await original(self, new, now=now)
    return [True for _ in records]


async def last_one_wins(original, self, records, *, now=None):
    await self.delete([record.id for record in records])
    return await original(self, records, now=now)


async def acks_nothing(original, self, entries):
    return None


async def acks_the_whole_task(original, self, entries):
    ids = {(entry.task_id, entry.seq) for entry in entries}
    more = [entry for entry in await self.outbox(now=2**43) if (entry.task_id, entry.seq) in ids]
    await original(self, more)


async def in_any_order(original, self, events):
    return await original(self, events[::-1])


async def always_advances(original, self, advances):
    found = await self.get([advance.id for advance in advances])
    current = [
        attrs.evolve(advance, expected_version=old.version)
        for advance, old in zip(advances, found, strict=True)
        if old is not None
    ]
    await original(self, current)
    return [old is not None for old in found]


async def also_what_is_paused(original, self, limit=100, *, now=None):
    due = [s for s in await self.list(limit=1000) if s.next_run is not None and s.next_run <= now]
    return sorted(due, key=lambda s: (s.next_run, s.id))[:limit]


async def fires_first_and_asks_then(original, self, specs, advance, *, now=None):
    await self.enqueue(specs, now=now)
    return await original(self, specs, advance, now=now)


async def purges_pinned_tasks(original, self, states, before, limit=1000, *, pinned_before=None):
    return await original(self, states, before, limit)


def never_waits(original, self, seq):
    return False


BROKEN = {
    "the outcome of an earlier run replaces that of a later one": (
        (MemoryResultStorage, "put", last_one_wins),
        ["OQ-X-0110-separate", "OQ-X-0116", "OQ-X-0121"],
    ),
    "an outcome is never replaced": (
        (MemoryResultStorage, "put", does_not_overwrite),
        ["OQ-X-0115", "OQ-X-0118", "OQ-X-0120", "OQ-X-0122-separate"],
    ),
    "outcomes are not stored": ((MemoryResultStorage, "put", stores_nothing), ["OQ-X-0117", "OQ-X-0119"]),
    "joined outcomes are not stored": (
        (Journal, "keep_result", forgets),
        ["OQ-X-0110-joined", "OQ-X-0122-joined", "OQ-X-0127-joined", "OQ-X-0162"],
    ),
    "acknowledging is forgotten": (
        (MemoryTaskQueue, "outbox_ack", acks_nothing),
        ["OQ-X-0125", "OQ-X-0126", "OQ-X-0131", "OQ-X-0133"],
    ),
    "acknowledging takes what was written since": (
        (MemoryTaskQueue, "outbox_ack", acks_the_whole_task),
        ["OQ-X-0111-separate", "OQ-X-0131"],
    ),
    "tasks are purged with entries in the outbox": ((Outbox, "has", never_waits), ["OQ-X-0126", "OQ-X-0133"]),
    "the order of a batch of events is lost": (
        (MemoryEventStorage, "append", in_any_order),
        ["OQ-X-0111-separate", "OQ-X-0131", "OQ-X-0132-separate"],
    ),
    "a schedule is advanced whatever its version is": (
        (MemoryScheduleStorage, "advance", always_advances),
        ["OQ-X-0112-separate", "OQ-X-0141-separate", "OQ-X-0143-separate"],
    ),
    "paused schedules are due": (
        (MemoryScheduleStorage, "due", also_what_is_paused),
        ["OQ-X-0146-separate", "OQ-X-0146-joined"],
    ),
    "a refused fire enqueues": (
        (MemoryTaskQueue, "fire", fires_first_and_asks_then),
        ["OQ-X-0112-joined", "OQ-X-0141-joined", "OQ-X-0143-joined"],
    ),
    "pinned tasks are purged": (
        (MemoryTaskQueue, "purge", purges_pinned_tasks),
        ["OQ-X-0112-separate", "OQ-X-0144-separate", "OQ-X-0144-joined"],
    ),
}


@pytest.mark.parametrize("bug", BROKEN)
def test_a_broken_backend_does_not_pass(bug, harness, tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIQ_CONFORMANCE_FAILURES", str(tmp_path))
    plant, ids = BROKEN[bug]
    with broken(*plant):
        assert {id: verdict(id, harness) for id in ids} == dict.fromkeys(ids, Status.FAIL)
    assert {id: verdict(id, harness) for id in ids} == dict.fromkeys(ids, Status.PASS)


def test_a_failing_program_is_kept_and_replayed(harness, tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIQ_CONFORMANCE_FAILURES", str(tmp_path))
    program = PAIR_TEMPLATES["OQ-X-0116"].program(Mode.SEPARATE)
    with broken(MemoryResultStorage, "put", last_one_wins):
        with pytest.raises(DivergenceError, match="queue-results program, separate"):
            run_programs([program], harness)
        (path,) = tmp_path.iterdir()
        with pytest.raises(DivergenceError):
            replay(path, harness)
    replay(path, harness)


def test_every_pair_has_templates_in_its_range():
    assert {template.family for template in PAIR_TEMPLATES.values()} == set(FAMILIES)
    assert {id[:7] for id in PAIR_TEMPLATES} == {"OQ-X-01"}
