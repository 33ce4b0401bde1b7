"""The parts that the cases of crashes are made of."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import threading
from pathlib import Path

import attrs
import pytest
from partial_backends import partial_backend

from omniq.models.config import Role
from omniq_conformance.engine import run_item
from omniq_conformance.faults.acts import Steps
from omniq_conformance.faults.aftermath import Story, examine
from omniq_conformance.faults.choosing import Made, Window, choose, spread, windows, within
from omniq_conformance.faults.disturbed import expectations
from omniq_conformance.faults.forkserver import ForkServer, shared
from omniq_conformance.faults.fsyncs import Write, syncs
from omniq_conformance.faults.ledger import Ledger
from omniq_conformance.faults.performing import perform
from omniq_conformance.faults.points import CallCounter
from omniq_conformance.faults.reaching import without
from omniq_conformance.faults.scenario import scenario
from omniq_conformance.faults.world import World, differences, look, torn
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import Trial, items
from omniq_conformance.space import Mode, Space
from omniq_memory.conformance import MemoryHarness

MODES = (Mode.SEPARATE, Mode.JOINED)


@pytest.mark.parametrize("mode", MODES)
def test_doing_every_operation_twice_leaves_what_doing_it_once_leaves(mode):
    async def run():
        world, tokens, theirs = World(mode), {}, {}
        async with Space(MemoryHarness(), mode) as space:
            stores = await space.open()
            for act in scenario(mode):
                await act.run(world.stores, tokens)
                once = world.view()
                await act.run(world.stores, tokens)
                assert (act.name, world.view()) == (act.name, once)
                await act.run(stores, theirs)
                assert (act.name, list(differences(once, await look(stores)))) == (act.name, [])

    asyncio.run(run())


@pytest.mark.parametrize("role", [Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE])
def test_a_scenario_leaves_out_a_role_that_is_not_offered(role, tmp_path, monkeypatch):
    async def run(harness):
        first, second = Space(harness), Space(harness)
        second.name = first.name
        ledger = Ledger(tmp_path / "ledger")
        await perform(first, scenario(Mode.SEPARATE)[:20], ledger, close=False)  # it keeps the data of the namespace
        found = await examine(second, ledger.lines())
        assert (found.faults, len(found.story.done)) == ([], 20)
        steps = await expectations(Mode.SEPARATE, frozenset({role}))
        stores = await second.open()
        assert list(differences(steps[-1].after, await look(stores))) == []
        trial = Trial(harness, Mode.SEPARATE, PROFILES["smoke"], 0)
        assert (without(trial, stores), trial.evidence) == ({role}, {"without": role})
        await second.close()
        await first.close()
        ledger.close()

    with partial_backend(f"without_{role.key}", set(Role) - {role}, tmp_path, monkeypatch) as harness:
        asyncio.run(run(harness))


def test_a_scenario_does_not_begin_where_an_offered_role_is_not_opened():
    class Forgetting(MemoryHarness):
        async def open(self, namespace):
            return attrs.evolve(await super().open(namespace), events=None)

    harness = Forgetting()
    found = run_item(next(item for item in items() if item.id == "OQ-X-0401-separate"), harness, PROFILES["smoke"])
    assert (found.status, "The harness opens no event storage" in found.reason) == (Status.UNVERIFIED, True), found


@pytest.mark.parametrize("mode", MODES)
def test_no_claim_of_the_scenario_depends_on_the_order_of_enqueuing(mode):
    async def run():
        world, tokens = World(mode), {}
        for act in scenario(mode):
            await act.run(world.stores, tokens)
        return tokens

    assert {"a", "b", "series", "lost", "failing", "stopped", "fired"} == set(asyncio.run(run()))


@pytest.mark.parametrize("mode", MODES)
def test_a_ledger_can_be_gone_on_from_at_every_line(mode, tmp_path):
    async def run():
        acts = scenario(mode)
        for number in range(0, len(acts), 5):
            harness = MemoryHarness()
            ledger = Ledger(tmp_path / f"ledger-{number}")
            first, second = Space(harness, mode), Space(harness, mode)
            second.name = first.name
            await perform(first, acts[:number], ledger, close=False)  # it keeps the data of the namespace
            found = await examine(second, ledger.lines())
            assert found.faults == []
            await first.close()
            ledger.close()

    asyncio.run(run())


def test_half_of_a_step_is_torn():
    before, after = {("task", "t"): 1}, {("task", "t"): 2, ("event", "t", 2): 2, ("task", "u"): 1}
    assert list(torn(before, after, before, Steps.TASKS)) == []
    assert list(torn(before, after, after, Steps.TASKS)) == []
    assert list(torn(before, after, {**before, ("task", "u"): 1}, Steps.TASKS)) == []
    half = {("task", "t"): 2}
    assert list(torn(before, after, half, Steps.TASKS)) == ["task t is written, but event t 2 of the same step is not"]
    assert list(torn(before, after, half, Steps.ITEMS)) == []
    assert len(list(torn(before, after, {**before, ("task", "u"): 1}, Steps.WHOLE))) == 1
    assert list(torn(before, after, {}, Steps.TASKS)) == ["task t is None, expected is 1 or 2"]
    assert list(torn(before, before, {}, Steps.TASKS)) == ["task t is lost"]


def test_a_ledger_survives_a_line_that_was_cut_off(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.note("invoke", 1)
    ledger._map[ledger._end : ledger._end + 8] = b'["ok", 1'
    again = Ledger(tmp_path / "ledger")
    assert again.lines() == [["invoke", 1]]
    again.note("e")
    assert ledger.lines() == [["invoke", 1], ["e"]]
    again.close()
    ledger.close()


def test_a_story_tells_what_may_have_been_done():
    began = [
        ["invoke", -1, 0.0],
        ["ok", -1, None, {}, 0.1],
        ["invoke", 0, 1.0],
        ["ok", 0, ["x"], {"t": [1, 2, "n"]}, 2.0],
    ]
    story = Story.read([*began, ["invoke", 1, 3.0]])
    assert (story.done, story.open, story.is_open, story.is_over) == ([["x"]], 1, True, False)
    assert story.tokens["t"] == (1, 2, "n")
    refused = ["error", 1, False, "StorageError: full"]
    assert Story.read([*began, ["invoke", 1, 3.0], refused]).open is None
    unknown = ["error", 1, True, "OutcomeUnknownError: lost"]
    assert Story.read([*began, ["invoke", 1, 3.0], unknown, ["invoke", 1, 4.0], refused]).open == 1
    assert Story.read([["untyped", 1, "OSError: no"]]).faults != []
    assert Story.read([["exit", -signal.SIGALRM]]).faults != []
    assert Story.read([["exit", -signal.SIGKILL]]).faults == []


LOG = """\
7 10.000100 openat(AT_FDCWD, "x", O_RDWR|O_CREAT, 0644) = 5 <0.000010>
7 10.100000 pwrite64(5, "a", 1, 0) = 1 <0.000010>
7 10.200000 fdatasync(5 <unfinished ...>
8 10.250000 fsync(6) = -1 EIO (Input/output error) <0.000010>
7 10.300000 <... fdatasync resumed>)        = 0 <0.100000>
7 10.400000 openat(AT_FDCWD, "y", O_RDWR|O_DSYNC) = 6 <0.000010>
7 10.500000 write(6, "a", 1)     = 1 <0.250000>
7 10.900000 +++ exited with 0 +++
"""


def test_syncs_are_read_from_a_log():
    assert syncs(LOG) == [(10.2, pytest.approx(10.3)), (10.5, 10.75)]
    assert Write("w", 10.15, 10.35).is_synced(syncs(LOG))
    assert not Write("w", 10.25, 10.35).is_synced(syncs(LOG))
    assert not Write("w", 10.15, 10.25).is_synced(syncs(LOG))


def test_points_are_spread_over_names():
    assert sorted(spread({"fsync": 2, "write": 100}, 6, 0)) == [
        ("fsync", 1),
        ("fsync", 2),
        ("write", 1),
        ("write", 26),
        ("write", 51),
        ("write", 76),
    ]
    assert len(set(spread({"write": 100}, 10, 0)) | set(spread({"write": 100}, 10, 1))) == 20


def test_calls_inside_at_the_end_and_after_each_kind_of_operation_are_chosen():
    made = [Made("write", number, float(number)) for number in range(1, 61)]
    under_way = [Window(kind, 10.0 * place, 10.0 * place + 8) for place, kind in enumerate("abcabc")]
    first, second = ([call.number for call in choose(made, under_way, 9, seed)] for seed in (0, 1))
    assert {8, 9, 18, 19, 28, 29} < set(first)
    assert {38, 39, 48, 49, 58, 59} < set(second)
    assert len(first) == len(second) == 9
    assert choose(made, under_way, 100, 0) == made
    inside = within(made, under_way, 9, 0)
    assert len(inside) == 9
    assert all(1 <= call.number % 10 <= 8 for call in inside)


def test_windows_are_those_of_operations_that_were_acknowledged():
    lines = [
        ["invoke", -1, 1.0],
        ["ok", -1, None, {}, 2.0],
        ["invoke", 0, 3.0],
        ["ok", 0, None, {}, 4.0],
        ["invoke", 1, 5.0],
    ]
    assert windows(lines, ["claim", "fail"]) == [Window("-1", 1.0, 2.0), Window("claim", 3.0, 4.0)]


def test_calls_inside_of_a_package_are_counted():
    counter = CallCounter(str(Path(json.__file__).parent))
    counter.start()
    try:
        json.loads("{}")
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert counter.seen > 0


def test_a_fork_server_ends_with_its_harness():
    harness = MemoryHarness()
    server = shared(harness)
    assert shared(harness) is server
    process = server._process
    del harness, server
    gc.collect()
    assert process.poll() == 0


def test_what_goes_wrong_in_a_child_is_told():
    space = Space(MemoryHarness())
    with ForkServer(space.harness) as server:
        with pytest.raises(RuntimeError, match="no attribute 'nothing'"):
            server.run(space, "omniq_conformance.faults.runs:nothing")
        assert server.run(space, "omniq_conformance.faults.runs:performed")[-1] == ["exit", 0]
