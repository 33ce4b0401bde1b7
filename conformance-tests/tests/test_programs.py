from __future__ import annotations

from collections import Counter
from unittest.mock import patch

import pytest

from omniq_conformance import replay
from omniq_conformance.outcomes import DivergenceError, VacuousError
from omniq_conformance.programs.drawing import Drawing, operation
from omniq_conformance.programs.family import drawn, require, run_programs
from omniq_conformance.programs.machines import MACHINES, machine_for
from omniq_conformance.programs.minimize import minimize
from omniq_conformance.programs.program import Op, Program, op
from omniq_conformance.programs.queue_generator import ALL_TEMPLATES, queue_programs
from omniq_conformance.programs.queue_watch import QUEUE_SOMETIMES
from omniq_conformance.programs.session import execute
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIQ_CONFORMANCE_FAILURES", str(tmp_path))
    return tmp_path


def seen_by_the_model(program):
    machine = machine_for(program)
    for each in program.ops:
        list(machine.run(each))
    list(machine.finish())
    return machine.seen


def test_programs_survive_json():
    for program in drawn(queue_programs, "separate", 20, 0):
        again = Program.from_json(program.to_json())
        assert again.to_json() == program.to_json()
        assert seen_by_the_model(again) == seen_by_the_model(program)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2}'])
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match="format 1 "):
        Program.from_json(text)


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match=r"\'fish\' is no family of programs\. Known: events, queue"):
        machine_for(Program("fish", "separate", ()))


def test_drawing_depends_on_seed_and_mode_only():
    first = drawn(queue_programs, "separate", 10, 1)
    drawn.cache_clear()
    assert drawn(queue_programs, "separate", 10, 1) == first
    assert drawn(queue_programs, "separate", 10, 2) != first
    assert [program.ops for program in drawn(queue_programs, "joined", 10, 1)] != [program.ops for program in first]


def test_equal_numbers_make_other_operations_in_other_places():
    drawing = Drawing([(1, operation("clock", by=lambda rng: rng.randrange(10**9)))])
    ops = drawing.operations([0, 0, 0], "separate")
    assert len({str(each) for each in ops}) == 3


@pytest.mark.parametrize("template", [pytest.param(each, id=each.id) for each in ALL_TEMPLATES])
def test_templates_see_what_they_name(template):
    for mode in ("separate", "joined"):
        seen = seen_by_the_model(Program("queue", mode, tuple(template.build("t0", "t1", "a"))))
        assert [event for event in template.sees if not seen[event]] == []
    assert template.sees <= QUEUE_SOMETIMES


def test_minimizing_finds_the_operations_that_matter():
    ops = tuple(op("clock", by=number) for number in range(50))
    program = Program("queue", "separate", ops)

    def fails(candidate):
        times = [each.args["by"] for each in candidate.ops]
        return 7 in times and 31 in times

    assert minimize(program, fails).ops == (op("clock", by=7), op("clock", by=31))


def test_minimizing_empties_batches_and_fields():
    specs = [{"id": f"t{n}", "queue": "a", "priority": 3, "eta": 5} for n in range(4)]
    program = Program("queue", "separate", (op("enqueue", specs=specs), op("cancel", ids=["x", "y", "z"])))

    def fails(candidate):
        return any("t2" in str(each) and "eta" in str(each) for each in candidate.ops)

    assert minimize(program, fails).ops == (op("enqueue", specs=[{"id": "t2", "queue": "a", "eta": 5}]),)


def test_a_failing_program_is_minimized_and_kept_and_replayed(harness, kept):
    async def cancel(self, ids, *, now=None):
        return ["missing"] * len(ids)

    noise = [op("clock", by=1), op("enqueue", specs=[{"id": "u", "queue": "b"}])]
    ops = [*noise, op("enqueue", specs=[{"id": "t", "queue": "a"}]), *noise, op("cancel", ids=["t"]), *noise]
    with patch.object(MemoryTaskQueue, "cancel", cancel):
        with pytest.raises(DivergenceError) as caught:
            run_programs([Program("queue", "separate", tuple(ops))], harness)
        (path,) = kept.iterdir()
        assert str(path) in str(caught.value)
        assert [each.name for each in Program.from_json(path.read_text()).ops] == ["enqueue", "cancel"]
        with pytest.raises(DivergenceError, match=r"expected 'cancelled'\n    got      'missing'"):
            replay(path, harness)
    replay(path, harness)


def test_what_a_backend_raises_fails_the_program(harness, kept):
    async def broken(self, ids, *, now=None):
        raise RuntimeError(f"cannot cancel {ids}")

    with (
        patch.object(MemoryTaskQueue, "cancel", broken),
        pytest.raises(DivergenceError, match="RuntimeError cannot cancel"),
    ):
        run_programs([Program("queue", "separate", (op("cancel", ids=["t"]),))], harness)


def test_events_that_never_happened_make_a_run_vacuous():
    require(Counter({"a": 1, "b": 2}), ["a", "b"])
    with pytest.raises(VacuousError, match=r"2 of the things .* never happened: b, c"):
        require(Counter({"a": 1}), ["a", "b", "c"])


def test_numbers_of_the_backend_may_have_gaps(harness):
    original = TaskTable.enqueue

    def enqueue(self, specs, now, journal):
        self._seq += 10
        return original(self, specs, now, journal)

    with patch.object(TaskTable, "enqueue", enqueue):
        for mode in ("separate", "joined"):
            for program in drawn(queue_programs, mode, 20, 0):
                execute(program, harness)


def test_numbers_that_are_used_again_are_found(harness):
    original = TaskTable.enqueue

    def enqueue(self, specs, now, journal):
        self._seq = max((task.seq for task in self.records.values()), default=0)
        return original(self, specs, now, journal)

    again = [op("enqueue", specs=[{"id": "t", "queue": "a"}]), op("cancel", ids=["t"])]
    ops = [*again, op("ack", skip=0, number=9), op("purge", states=["CANCELLED"], age=-1, limit=9), *again]
    execute(Program("queue", "separate", tuple(ops)), harness)
    with patch.object(TaskTable, "enqueue", enqueue), pytest.raises(DivergenceError):
        execute(Program("queue", "separate", tuple(ops)), harness)


def test_every_family_runs_an_empty_program(harness):
    for family in MACHINES:
        execute(Program(family, "separate", ()), harness)


def test_operations_show_their_arguments():
    assert str(Op("clock", {"to": 0, "delta": -1})) == "clock(to=0, delta=-1)"
