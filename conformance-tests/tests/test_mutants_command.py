"""The command `mutants`."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from omniq_conformance.cli.root import main
from omniq_conformance.mutants import command
from omniq_conformance.mutants.killing import TIMED_OUT, Attempt
from omniq_conformance.mutants.matrix import Row, unchallenged

KILLED = Attempt(seed=0, killer="OQ-Q-0101-joined", programs=7, reason="...", seconds=0.1)
OTHER = Attempt(seed=1, killer="OQ-Q-0501", programs=None, reason="...", seconds=0.1)
HUNG = Attempt(seed=1, killer=TIMED_OUT, programs=None, reason="...", seconds=300.0)
SURVIVED = Attempt(seed=1, killer=None, programs=None, reason="OQ-Q-0101-joined: TypeError: no", seconds=0.1)


def run(*args):
    return CliRunner().invoke(main, ["mutants", *args])


@pytest.fixture
def matrix():
    rows = []
    with patch.object(command, "run_matrix", lambda *_, **__: iter(rows)):
        yield rows


def test_the_matrix_ends_with_how_many_were_killed(matrix):
    matrix.append(Row("memory", "a bug", held_out=False, attempts=(KILLED, OTHER)))
    matrix.append(Row("sqlite", "another bug", held_out=True, attempts=(KILLED,)))
    done = run("--seeds", "2")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"{'mutant':58} {'seed 0':24} seed 1",
        f"{'memory: a bug':58} {'OQ-Q-0101-joined #7':24} OQ-Q-0501",
        f"{'sqlite: another bug (held out)':58} OQ-Q-0101-joined #7",
        "of those held out: killed 1 of 1",
        "killed 2 of 2",
    ]


def test_one_that_hung_is_killed_and_shown_as_such(matrix):
    matrix.append(Row("memory", "a bug", held_out=False, attempts=(KILLED, HUNG)))
    done = run("--seeds", "2")
    assert done.exit_code == 0
    assert done.output.splitlines()[-2:] == [
        f"{'memory: a bug':58} {'OQ-Q-0101-joined #7':24} timed out",
        "killed 1 of 1",
    ]


def test_a_survivor_is_a_failure(matrix):
    matrix.append(Row("memory", "a bug", held_out=False, attempts=(KILLED, SURVIVED)))
    done = run("--seeds", "2")
    assert done.exit_code == 1
    assert done.output.splitlines()[-3:] == [
        f"{'memory: a bug':58} {'OQ-Q-0101-joined #7':24} SURVIVED",
        "    seed 1, no wrong answer but: OQ-Q-0101-joined: TypeError: no",
        "killed 0 of 1",
    ]


def test_json_has_what_killed_and_the_cases_that_killed_nothing(matrix):
    matrix.append(Row("memory", "a bug", held_out=False, attempts=(KILLED, OTHER)))
    found = json.loads(run("--json").output)
    assert (found["killed"], found["of"]) == (1, 1)
    assert found["mutants"][0]["attempts"][0]["programs"] == 7
    assert "OQ-Q-0501" not in found["cases_without_a_kill"]
    assert "OQ-Q-0502" in found["cases_without_a_kill"]
    assert "OQ-Q-0101" not in found["cases_without_a_kill"]
    assert unchallenged([])[0].startswith("OQ-E-0501")


def test_a_mutant_is_killed_in_another_process():
    done = run("--only", "grants come in reverse", "--seeds", "1", "--jobs", "1")
    assert done.exit_code == 0, done.output
    assert "memory: grants come in reverse" in done.output
    assert done.output.splitlines()[-1] == "killed 1 of 1"


def test_a_name_that_no_mutant_has_is_refused():
    done = run("--only", "no such thing")
    assert done.exit_code == 2
    assert "No mutant has 'no such thing' in its name." in done.output


@pytest.mark.parametrize("is_good", [True, False])
def test_unbroken_backends_have_to_pass(matrix, is_good):
    matrix.append(Row("memory", "a bug", held_out=False, attempts=(KILLED,)))
    with patch.object(command, "_faults", lambda *_: [] if is_good else ["memory, seed 0: OQ-Q-0101 fail: broken"]):
        done = run("--backend", "memory", "--clean", "2")
    assert done.exit_code == (0 if is_good else 1)
    assert ("The unbroken backends passed 2 times." in done.output) is is_good
    assert done.output.count("The unbroken backend: memory, seed 0") == (0 if is_good else 2)
