from __future__ import annotations

import os
import re
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest
from importlib_metadata import entry_points

from omniq_conformance import make_suite

BACKENDS = """
from omniq_conformance import KnownIssue
from omniq_memory.conformance import MemoryHarness


class Hoarder(MemoryHarness):
    backend = "hoarder"
    known_issues = [
        KnownIssue("OQ-Q-0511", "https://example.org/7", "It keeps everything.", "2999-01-01"),
        KnownIssue("OQ-Q-0513", "https://example.org/8", "It did once.", "2999-01-01"),
    ]

    async def open(self, namespace):
        stores = await super().open(namespace)
        stores.task_queue.purge = self.keep
        return stores

    async def keep(self, states, before, limit=1000, *, pinned_before=None):
        return []
"""
LIGHT = """
import sys
import omniq_conformance.pytest_plugin

print(sorted({name.split(".")[0] for name in sys.modules} & {"omniq", "hypothesis", "attrs", "attr", "asyncio"}))
"""


@pytest.fixture
def run(tmp_path):
    """Run pytest in an empty folder, with no plugin but this one."""
    (tmp_path / "hoarder.py").write_text(BACKENDS, "utf-8")
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n", "utf-8")

    def run(*args, name="omniq_conformance.pytest_plugin", autoload="1"):
        environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": autoload, "COLUMNS": "200"}
        environ.pop("PYTEST_ADDOPTS", None)
        command = [sys.executable, "-m", "pytest", "-p", name, *args]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    return run


def test_pytest_finds_the_plugin():
    (entry,) = entry_points(group="pytest11", name="omniq_conformance")
    assert entry.value == "omniq_conformance.pytest_plugin"


@pytest.mark.parametrize("autoload", ["1", ""])
def test_naming_the_plugin_does_no_harm_where_pytest_finds_it_by_itself(run, autoload):
    done = run("-q", "--omniq-backend", "memory", "-k", "OQ-Q-0511", name="omniq_conformance", autoload=autoload)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 pass" in done.stdout


def test_loading_the_plugin_loads_nothing_else():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_option_nothing_changes(run):
    done = run("-q")
    assert done.returncode == 0
    assert "omniq" not in done.stdout
    assert "1 passed" in done.stdout


def test_without_paths_the_suite_alone_is_run(run):
    done = run("--omniq-backend", "hoarder:Hoarder", "--omniq-profile", "smoke", "-v", "-k", "OQ-Q-0511 or OQ-Q-0514")
    assert done.returncode == 0, done.stdout
    assert "omniq conformance: hoarder, profile smoke, seed 0" in done.stdout
    assert "test_own" not in done.stdout
    assert "omniq-hoarder::OQ-Q-0511 KNOWN-ISSUE" in done.stdout
    assert "omniq-hoarder::OQ-Q-0514 PASSED" in done.stdout
    assert "known-issue  OQ-Q-0511  It keeps everything." in done.stdout
    assert "1 pass, 1 known-issue" in done.stdout
    assert "skipped" not in done.stdout


def test_with_paths_they_are_run_too(run):
    done = run("--omniq-backend", "memory", "-v", "-k", "own or OQ-Q-0513", "test_own.py")
    assert (done.returncode, "test_own.py::test_own PASSED" in done.stdout) == (0, True)
    assert "2 passed" in done.stdout


def test_the_items_are_those_of_make_suite_in_the_same_order(run, harness):
    done = run("--omniq-backend", "memory", "--collect-only", "-q")
    collected = [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    (mark,) = make_suite(harness).test_conforms.pytestmark
    assert collected == [param.id for param in mark.args[1]]


def test_the_verdicts_of_other_processes_are_told_too(run):
    wanted = "OQ-Q-0511 or OQ-Q-0514 or OQ-Q-0902"
    done = run("-p", "xdist", "-n", "2", "--omniq-backend", "hoarder:Hoarder", "-k", wanted)
    assert "known-issue  OQ-Q-0511  It keeps everything." in done.stdout
    assert "1 pass, 1 fail, 1 known-issue" in done.stdout


def test_every_status_is_told_with_its_reason(run, tmp_path):
    wanted = "OQ-Q-0511 or OQ-Q-0513 or OQ-Q-0514 or OQ-Q-0902"
    done = run("--omniq-backend", "hoarder:Hoarder", "--junit-xml=x.xml", "-k", wanted)
    assert done.returncode == 1
    assert "OQ-Q-0902 (A seq is not used again" in done.stdout
    assert "known-issue  OQ-Q-0511  It keeps everything. (https://example.org/7, until 2999-01-01)" in done.stdout
    assert "fail         OQ-Q-0513  It passes, but is declared as a known issue" in done.stdout
    assert "1 pass, 2 fail, 1 known-issue" in done.stdout
    cases = ET.parse(tmp_path / "x.xml").iter("testcase")  # our own file
    noted = {
        case.get("name"): {each.get("name"): each.get("value") for each in case.iter("property")} for case in cases
    }
    assert {name: each["omniq_status"] for name, each in noted.items()} == {
        "OQ-Q-0511": "known-issue",
        "OQ-Q-0513": "fail",
        "OQ-Q-0514": "pass",
        "OQ-Q-0902": "fail",
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--omniq-backend", "memry"], "Did you mean 'memory'?"),
        (["--omniq-backend", "json:loads"], "which is no subclass of omniq_conformance.Harness"),
        (["--omniq-backend", "no_such_module:X"], "No module named 'no_such_module'"),
        (["--omniq-url", "x"], "give --omniq-backend too"),
    ],
)
def test_mistakes_are_told_apart(run, args, message):
    done = run(*args)
    assert (done.returncode, message in done.stderr) == (4, True), done.stderr


def redefine(**members):
    return lambda suite: type("TestMine", (suite,), members)


@pytest.mark.parametrize(
    "change",
    [
        redefine(test_conforms=lambda self: None),
        redefine(setup_class=None),
        redefine(__test__=False),
        redefine(pytestmark=pytest.mark.skip),
        lambda suite: type("TestMine", (type("Mixin", (), {"test_conforms": None}), suite), {}),
    ],
    ids=["test", "setup", "collection", "marks", "mixin"],
)
def test_a_suite_cannot_be_overridden(harness, change):
    with pytest.raises(TypeError, match="as a KnownIssue in the harness's `known_issues`"):
        change(make_suite(harness))


def test_a_suite_can_be_added_to(harness):
    suite = make_suite(harness)
    mine = redefine(test_own=lambda self: None)(suite)
    assert mine.test_conforms is suite.test_conforms


CLASS = """
from omniq_conformance import make_suite
from hoarder import Hoarder


class Loud(Hoarder):
    def __enter__(self):
        print("up")
        return super().__enter__()

    def __exit__(self, *exc):
        print("down")
        super().__exit__(*exc)


TestConformance = make_suite(Loud(), profile="smoke")
"""


def test_a_class_of_tests_has_its_harness_up_once(run, tmp_path):
    (tmp_path / "test_hoarder.py").write_text(CLASS, "utf-8")
    done = run("-s", "-W", "error", "-k", "OQ-Q-0511 or OQ-Q-0514", "test_hoarder.py")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert re.search(r"up\n?[.s]+down", done.stdout)
