"""Every case of crashes, bad disks and stopped workers fails on an SQLite that is broken in just that way."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from unittest.mock import patch

import attrs
import pytest
from breaking import ITEMS

from omniq_conformance.engine import run_item
from omniq_conformance.faults import strace
from omniq_conformance.outcomes import Status, UnverifiedError
from omniq_conformance.profiles import PROFILES
from omniq_memory.conformance import MemoryHarness
from omniq_sqlite.connection import Database

PROFILE = attrs.evolve(PROFILES["pr"], kills=4)
BRIEF = attrs.evolve(PROFILE, crash_points=6)


def _broken_sqlite():
    path = Path(__file__).with_name("broken_sqlite.py")
    specification = importlib.util.spec_from_file_location("broken_sqlite", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules["broken_sqlite"] = module  # where the file of a class is looked up
    specification.loader.exec_module(module)
    return module


broken_sqlite = _broken_sqlite()


def outcome(id, bug="nothing", profile=PROFILE, **options):
    return run_item(ITEMS[id], broken_sqlite.BrokenHarness(bug, **options), profile)


def traced():
    try:
        strace.require()
    except UnverifiedError:
        return False
    return True


# Continuous integration has to trace, as it has to have the servers: there these tests fail instead.
needs_strace = pytest.mark.skipif(
    not traced() and os.environ.get("CI") != "true", reason="processes cannot be traced here, and the case says so"
)


@needs_strace
@pytest.mark.parametrize(
    ("id", "bug", "told"),
    [
        ("OQ-X-0301-separate", "claim_pops", "faults"),
        ("OQ-X-0301-separate", "answered_before_written", "faults"),
        ("OQ-X-0301-joined", "results_apart", "result"),
        ("OQ-X-0303", "errors_swallowed", "faults"),
        ("OQ-X-0303", "dead_after_an_error", "could not be used any more"),
        ("OQ-X-0305", "watches_the_file", "slept through"),
        ("OQ-Q-0307", "held_by_another", "Nothing was held"),
    ],
)
def test_broken_system_calls_are_found(id, bug, told):
    found = outcome(id, bug)
    assert (found.status, told in found.reason) == (Status.FAIL, True), found


@needs_strace
def test_a_race_of_openings_is_found():
    """It is won in nearly every run; a machine that is busy with something else may be lucky a few times."""
    reasons = (outcome("OQ-X-0306", "checked_in_pieces").reason for _ in range(8))
    assert any("another program" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("id", "bug", "told"),
    [
        ("OQ-X-0304", "errors_untyped", "OSError"),
        ("OQ-X-0401-joined", "purged_later", "is there, which nothing has made"),
        ("OQ-Q-0310", "enqueued_later", "is lost"),
        ("OQ-Q-0330-joined", "any_token_will_do", "after it had lost its tasks"),
    ],
)
def test_a_bug_is_found(id, bug, told):
    found = outcome(id, bug)
    assert (found.status, told in found.reason) == (Status.FAIL, True), found


@pytest.mark.parametrize(("id", "bug"), [("OQ-X-0302-separate", "claim_pops"), ("OQ-Q-0331", "any_token_will_do")])
def test_a_bug_is_found_at_calls(id, bug):
    many = attrs.evolve(PROFILE, crash_points=160)
    assert outcome(id, bug, profile=many).status is Status.FAIL


@needs_strace
def test_writes_without_a_journal_on_disk_are_torn():
    def described(self):
        return attrs.evolve(original(self), durability=broken_sqlite.Durability.PROCESS_CRASH)

    original = Database._describe
    with patch.object(Database, "_describe", described):
        assert outcome("OQ-X-0301-separate", journal_mode="MEMORY").status is Status.FAIL


@needs_strace
@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_a_promise_of_syncs_that_is_not_kept_is_found(synchronous):
    def described(self):
        return broken_sqlite._declares_os_crash(original, self)

    original = Database._describe
    with patch.object(Database, "_describe", described):
        found = outcome("OQ-X-0402-joined", synchronous=synchronous)
    assert (found.status, "had not been synced" in found.reason) == (Status.FAIL, True)


@needs_strace
def test_a_promise_of_syncs_that_is_kept_passes():
    assert outcome("OQ-X-0402-joined", synchronous="FULL").status is Status.PASS


@needs_strace
def test_no_promise_of_syncs_is_unsupported():
    found = outcome("OQ-X-0402-joined")
    assert (found.status, found.evidence["declared"]) == (Status.UNSUPPORTED, "process_crash")


@pytest.mark.parametrize("id", ["OQ-X-0302-joined", "OQ-X-0304", "OQ-X-0401-separate", "OQ-Q-0310", "OQ-Q-0331"])
def test_sqlite_passes(id):
    assert outcome(id, profile=BRIEF).status is Status.PASS


@needs_strace
@pytest.mark.parametrize("id", ["OQ-X-0301-joined", "OQ-X-0303"])
def test_sqlite_survives_every_fault(id):
    found = outcome(id, profile=BRIEF)
    assert found.status is Status.PASS, found.reason


@pytest.mark.parametrize(
    "id", ["OQ-X-0301-joined", "OQ-X-0304", "OQ-X-0401-joined", "OQ-X-0402-separate", "OQ-Q-0330-joined"]
)
def test_what_lives_in_one_process_is_unsupported(id):
    assert run_item(ITEMS[id], MemoryHarness(), PROFILE).status is Status.UNSUPPORTED


def test_without_strace_nothing_is_claimed():
    with patch.object(strace, "_fault", lambda: "strace is not installed"):
        found = outcome("OQ-X-0301-joined")
    assert (found.status, "install strace" in found.reason) == (Status.UNVERIFIED, True)
