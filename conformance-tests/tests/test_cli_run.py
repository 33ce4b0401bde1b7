"""`run` and `smoke`: verdicts, exit codes, and harnesses that are not wired right."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from breaking import outcome
from click.testing import CliRunner

from omniq_conformance.cli.root import main
from omniq_conformance.known import KnownIssue
from omniq_conformance.outcomes import Status
from omniq_conformance.reports.jsonl import read_report
from omniq_memory.conformance import MemoryHarness
from omniq_memory.task_table import TaskTable

HARNESSES = """
from omniq_conformance import Harness, OpenedStores
from omniq_memory.conformance import MemoryHarness

class Refusing(MemoryHarness):
    async def open(self, namespace):
        raise ConnectionRefusedError("nothing listens")

class Empty(MemoryHarness):
    async def open(self, namespace):
        return None

class Keeping(MemoryHarness):
    async def destroy(self, namespace):
        if not namespace.endswith("-header"):
            raise RuntimeError("cannot \\x1b[31m drop")

class Stuck(MemoryHarness):
    async def destroy(self, namespace):
        raise RuntimeError("cannot drop")

class Starting(MemoryHarness):
    server_kind = "abacus"

class Making(MemoryHarness):
    def __init__(self, url):
        raise KeyError("home")

class Nothing:
    pass
"""


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Call the command in a folder with a module of harnesses in it."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("OMNIQ_CONFORMANCE_JOBS", "1")  # other processes know nothing of what a test has patched
    monkeypatch.setenv("OMNIQ_CONFORMANCE_FAILURES", str(tmp_path / "failures"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "unwired", raising=False)
    (tmp_path / "unwired.py").write_text(HARNESSES, "utf-8")

    def invoke(*args, **environment):
        return CliRunner().invoke(main, [str(arg) for arg in args], env=environment, catch_exceptions=False)

    return invoke


@pytest.fixture
def broken(monkeypatch):
    original = TaskTable.claim
    monkeypatch.setattr(TaskTable, "claim", lambda *args: original(*args)[::-1])


# ------------------------------------------------------------------------------------------------------ verdicts


def test_a_good_run_ends_with_a_table_and_zero(call, tmp_path):
    done = call("run", "--backend", "memory", "--profile", "smoke", "--only", "paging", "--report", "r/a.jsonl")
    assert done.exit_code == 0
    assert "memory: omniq-memory" in done.stdout
    assert "paging  core      5      5" in done.stdout
    assert "5 pass in " in done.stdout
    assert "of the suite left out, so no level is proved" in done.stdout
    assert done.stdout.endswith("Report: r/a.jsonl\nGOOD\n")
    assert "paging: 5 pass" in done.stderr
    assert read_report(tmp_path / "r" / "a.jsonl").is_good


def test_a_failure_is_told_with_its_reason_and_a_file_to_replay(call, broken, tmp_path):
    patterns = ("--only", "order", "--only", "OQ-Q-0110")
    done = call("run", "--backend", "memory", "--profile", "pr", *patterns)
    assert done.exit_code == 1
    assert "order     core      0      2  2 fail" in done.stdout
    assert "FAIL (4 items): not what the contract says" in done.stdout
    assert "in cases/ordering.py:" in done.stdout
    (file,) = (tmp_path / "failures").glob("*separate*.json")
    assert f"omniq-conformance replay {file} --backend memory" in done.stdout
    assert done.stdout.endswith("NOT GOOD\n")
    assert "fail  OQ-Q-0110-separate" in done.stderr
    again = call("replay", file, "--backend", "memory")
    assert again.exit_code == 1


def test_a_long_reason_is_cut_in_the_progress_and_whole_in_the_summary(call, monkeypatch):
    def claim(*args):
        raise NotImplementedError("blank" * 100)

    monkeypatch.setattr(TaskTable, "claim", claim)
    done = call("run", "--backend", "memory", "--profile", "smoke", "--only", "order", "--jobs", "1")
    assert {len(line) < 160 for line in done.stderr.splitlines()} == {True}
    assert "NotImplementedError: " + "blank" * 100 in done.stdout


def test_the_program_that_fails_is_in_the_report(call, broken):
    done = call("run", "--backend", "memory", "--only", "OQ-Q-0110-joined", "--json")
    (item,) = json.loads(done.stdout)["items"]
    assert item["evidence"]["program"]["family"] == "queue"
    assert item["evidence"]["program_file"] in item["reason"]


def test_what_is_unverified_is_told_loudly_and_fails_with_strict(call, monkeypatch):
    from omniq_conformance.outcomes import UnverifiedError

    async def cannot(self, *args, **more):
        raise UnverifiedError("There is no ptrace here.")

    monkeypatch.setattr(TaskTable, "claim", cannot)
    monkeypatch.setattr("omniq_memory.task_queue.MemoryTaskQueue.list", cannot)
    patterns = ("--backend", "memory", "--profile", "smoke", "--only", "OQ-Q-0801")
    done = call("run", *patterns)
    assert done.exit_code == 0
    assert "UNVERIFIED (1 item): this run could not tell" in done.stdout
    assert "1 item is UNVERIFIED: nobody knows whether the backend does this." in done.stdout
    strict = call("run", *patterns, "--strict")
    assert strict.exit_code == 1
    assert "That is a failure here (--strict)." in strict.stdout


def test_json_is_one_document_with_all_of_the_report(call):
    done = call("run", "--backend", "memory", "--only", "OQ-E-0802", "--profile", "smoke", "--seed", "3", "--json")
    found = json.loads(done.stdout)
    assert found["good"] is True
    assert found["header"]["seed"] == 3
    assert [item["id"] for item in found["items"]] == ["OQ-E-0802"]
    assert found["levels"] == dict.fromkeys(["core", "concurrent", "crash-safe", "durable", "upgradable"], False)


def test_options_come_from_the_environment(call, tmp_path):
    done = call(
        "run",
        OMNIQ_CONFORMANCE_BACKEND="memory",
        OMNIQ_CONFORMANCE_PROFILE="smoke",
        OMNIQ_CONFORMANCE_ONLY="OQ-E-080? OQ-R-08*",
        OMNIQ_CONFORMANCE_REPORT="env.jsonl",
    )
    assert done.exit_code == 0
    report = read_report(tmp_path / "env.jsonl")
    assert [line.id for line in report.lines] == ["OQ-E-0801", "OQ-E-0802", "OQ-R-0801"]
    assert report.header.profile == "smoke"


def test_several_processes_give_the_same_verdicts(call):
    args = ("--backend", "memory", "--only", "paging", "--json")
    one, two = (json.loads(call("smoke", *args, "--jobs", jobs).stdout) for jobs in (1, 2))
    assert [(item["id"], item["status"]) for item in one["items"]] == [(i["id"], i["status"]) for i in two["items"]]


def test_it_is_a_command_of_its_own(tmp_path):
    command = [sys.executable, "-m", "omniq_conformance.cli", "run", "--backend", "memory", "--only", "OQ-E-0802"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "GOOD"), done.stderr


# --------------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--backend", "memry"), "Did you mean 'memory'?"),
        (("--backend", "nowhere:Harness"), "cannot be imported: No module named 'nowhere'"),
        (("--backend", "unwired:Making_"), "has no 'Making_'. Did you mean 'Making'?"),
        (("--backend", "unwired:Nothing"), "which is no subclass of omniq_conformance.Harness"),
        (("--backend", "memory", "--only", "pagin"), "--only 'pagin' means no item. Did you mean 'paging'?"),
        (("--backend", "memory", "--only", "OQ-Q-801"), "Did you mean 'OQ-Q-0801'?"),
        (("--backend", "memory", "--profile", "big"), "'big' is not one of"),
        ((), "Missing option '--backend'"),
    ],
    ids=lambda value: "-".join(value[-1:]) or "nothing" if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_told_and_nothing_is_run(call, args, message):
    done = call("run", *args)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert done.stdout == ""


# ------------------------------------------------------------------------------------------- a harness that broke


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Refusing", "open() of Refusing raised ConnectionRefusedError: nothing listens (with no url)"),
        ("Empty", "open() of the harness returned None. It has to return an OpenedStores"),
        ("Stuck", "destroy() of Stuck raised RuntimeError: cannot drop. Nothing was run."),
        ("Starting", "Starting Starting raised ValueError: There is no server 'abacus'"),
        ("Making", "Making the harness of 'unwired:Making' raised KeyError: 'home'"),
    ],
)
def test_a_harness_that_breaks_at_once_is_told_with_the_remedy(call, name, message):
    done = call("smoke", "--backend", f"unwired:{name}", "--report", "r.jsonl")
    assert done.exit_code == 1
    assert f"Error: The harness broke. {message}" in done.stderr
    assert "What a harness does is little" in done.stderr
    assert "Traceback" not in done.output


def test_a_harness_that_breaks_later_is_an_error_of_the_items(call):
    done = call("smoke", "--backend", "unwired:Keeping", "--only", "OQ-Q-0601", "--only", "OQ-Q-0110-*")
    assert done.exit_code == 1
    assert "ERROR (3 items): the harness broke" in done.stdout
    assert "HarnessError: destroy() of Keeping raised RuntimeError: cannot \\x1b[31m drop" in done.stdout
    assert "\x1b" not in done.stdout


class Later(MemoryHarness):
    """Opens something else than stores from the second handle on."""

    opened = 0

    async def open(self, namespace):
        self.opened += 1
        return await super().open(namespace) if self.opened == 1 else "stores"


class Unable(MemoryHarness):
    """Cannot open anything any more, as a backend that does not reopen."""

    async def open(self, namespace):
        raise OSError("gone")


class Undestroyable(MemoryHarness):
    async def destroy(self, namespace):
        raise RuntimeError("cannot drop")


def test_only_what_certainly_is_the_harness_is_an_error():
    assert outcome("OQ-Q-0801", Later()).status is Status.ERROR
    assert outcome("OQ-Q-0801", Undestroyable()).status is Status.ERROR
    assert outcome("OQ-Q-0110-joined", Undestroyable()).status is Status.ERROR
    assert outcome("OQ-Q-0801", Unable()).status is Status.FAIL


def test_a_failure_of_the_backend_is_not_hidden_by_the_harness(broken):
    found = outcome("OQ-Q-0601", Undestroyable())
    assert found.status is Status.FAIL
    assert "Afterwards destroy() of Undestroyable raised RuntimeError: cannot drop" in found.reason


def test_a_known_issue_is_no_excuse_for_a_broken_harness():
    class Known(Undestroyable):
        known_issues = (KnownIssue("OQ-Q-0801", "https://example.org/1", "Paging.", "2999-01-01"),)

    assert outcome("OQ-Q-0801", Known()).status is Status.ERROR
