from __future__ import annotations

import pytest

from omniq_conformance.engine import run_item
from omniq_conformance.faults import strace
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items
from omniq_file.conformance import FileSyncHarness

DURABILITY = [item for item in items() if item.case.family.name == "durability"]


@pytest.fixture(scope="module")
def harness():
    return FileSyncHarness()


@pytest.mark.parametrize("item", DURABILITY, ids=lambda item: item.id)
def test_fsync_always_survives_a_crash_of_the_system(harness, item):
    outcome = run_item(item, harness, PROFILES["smoke"])
    expected = {Status.PASS} if strace.is_usable() else {Status.PASS, Status.UNVERIFIED}
    assert outcome.status in expected, outcome.reason
