"""What the kills rest on, and those kills that are quick; `omniq-conformance mutants` makes all, with three seeds."""

from __future__ import annotations

from unittest.mock import patch

import attrs
import pytest
from hanging import attempt_hanging, does_as_told

from omniq.errors import ConfigError, StorageError
from omniq_conformance.mutants.catalog import BACKENDS, find_mutant, mutants_of
from omniq_conformance.mutants.editing import edited, reworded
from omniq_conformance.mutants.harness import MutantHarness
from omniq_conformance.mutants.killing import TIMED_OUT, attempt, is_kill
from omniq_conformance.mutants.matrix import run_matrix
from omniq_conformance.mutants.workers import Worker
from omniq_conformance.outcomes import DivergenceError, Outcome, Status, VacuousError

ALL = [mutant for backend in BACKENDS for mutant in mutants_of(backend)]


# Those that wake nobody take seconds each, and those of SQLite a tenth of one for every program.
AWAKE = {backend: [each for each in mutants_of(backend) if each.cases[0][5:7] != "10"] for backend in BACKENDS}
QUICK = [*AWAKE["memory"], *AWAKE["sqlite"][::12]]


@pytest.mark.parametrize("mutant", [pytest.param(each, id=f"{each.backend}: {each.name}") for each in QUICK])
def test_mutants_are_killed(mutant):
    found = attempt(mutant)
    assert found.killer is not None, found.reason


@pytest.mark.parametrize(
    ("error", "killed"),
    [
        (AssertionError(), True),
        (DivergenceError(), True),
        (TimeoutError(), True),
        (ExceptionGroup("all", [TypeError(), ExceptionGroup("more", [AssertionError()])]), True),
        (StorageError(), True),
        (ExceptionGroup("all", [TypeError()]), False),
        (TypeError(), False),
        (ConfigError(), False),
    ],
)
def test_only_a_wrong_answer_kills_and_what_the_mutant_says(error, killed):
    mutant = attrs.evolve(ALL[0], raises=(StorageError,))
    assert is_kill(Outcome(id="OQ-Q-0101", status=Status.FAIL, error=error), mutant) is killed
    assert not is_kill(Outcome(id="OQ-Q-0101", status=Status.VACUOUS, error=VacuousError()), mutant)


def test_a_mutant_that_breaks_otherwise_survives():
    def broken(*_, **__):
        raise TypeError("a mistake in the mutant")

    mutant = attrs.evolve(find_mutant("memory", "claims of several queues are reversed"), change=lambda _: broken)
    with patch.object(MutantHarness, "_mutant", property(lambda _: mutant)):
        found = attempt(mutant)
    assert found.killer is None
    assert "OQ-Q-0601: TypeError: a mistake in the mutant" in found.reason


def test_a_mutant_whose_code_is_gone_is_refused():
    with pytest.raises(ValueError, match="is there 0 times instead of once"):
        edited(attempt, [("no such text", "")])
    with pytest.raises(ValueError, match="is in 0 of the texts"):
        reworded({"a": "b"}, "no such text", "")


def test_a_mutant_of_no_case_is_refused():
    with pytest.raises(ValueError, match="there are none"):
        attempt(attrs.evolve(ALL[0], cases=("OQ-Q-99",)))


def test_a_mutant_that_hangs_is_ended_and_counts_as_killed():
    key = ("memory", "priority is inverted")
    (row,) = run_matrix([key], profile="pr", seeds=range(2), processes=1, limit=3, attempts=attempt_hanging)
    assert [(each.seed, each.killer, each.seconds >= 3) for each in row.attempts] == [
        (0, TIMED_OUT, True),
        (1, TIMED_OUT, True),
    ]
    assert row.attempts[0].reason == "It was not done within 3 s."
    assert row.is_killed


def test_a_worker_goes_on_after_whatever_a_call_did():
    with Worker(does_as_told, 30) as worker:
        first = worker.call("work")
        assert worker.call("work") == first
        with pytest.raises(RuntimeError, match=r"raised\n(.|\n)*ValueError: told to"):
            worker.call("raise")
        assert worker.call("work") == first
        with pytest.raises(RuntimeError, match=r"The process that was told \('end',\) ended with 3\."):
            worker.call("end")
        second = worker.call("work")
    assert second != first
    with Worker(does_as_told, 0.2) as impatient, pytest.raises(TimeoutError, match=r"within 0\.2 s"):
        impatient.call("hang")


def test_mutants_have_names_of_their_own():
    keys = [mutant.key for mutant in ALL]
    assert len(set(keys)) == len(keys)
    for mutant in ALL:
        assert find_mutant(*mutant.key) is mutant


@pytest.mark.parametrize(("backend", "name"), [("memory", "no such"), ("no such", "priority is inverted")])
def test_an_unknown_mutant_is_refused(backend, name):
    with pytest.raises(ValueError, match="no such"):
        find_mutant(backend, name)


def test_a_mutant_is_gone_after_the_block():
    for mutant in ALL:
        original = getattr(mutant.owner, mutant.attribute)
        with MutantHarness(mutant):
            assert getattr(mutant.owner, mutant.attribute) != original
            assert mutant.is_applied
        assert getattr(mutant.owner, mutant.attribute) is original
        assert not mutant.is_applied
