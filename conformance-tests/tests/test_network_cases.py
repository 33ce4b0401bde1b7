from __future__ import annotations

import pytest
from breaking import ITEMS, run
from toy_server import mutants
from toy_server.harness import ToyHarness

from omniq_conformance.faults import disturbed
from omniq_conformance.outcomes import Status
from omniq_conformance.servers.given import GivenServer
from omniq_memory.conformance import MemoryHarness
from omniq_sqlite.conformance import SQLiteHarness

NETWORK = [id for id in ITEMS if id.startswith(("OQ-X-035", "OQ-X-037"))]
NEED_CONTROL = {id for id in NETWORK if id.startswith("OQ-X-037")}


@pytest.fixture(scope="module")
def toy():
    with ToyHarness() as harness:
        yield harness


@pytest.fixture(autouse=True)
def no_leaks():
    yield
    while mutants.Leaking.kept:
        mutants.Leaking.kept.pop().close()


@pytest.mark.parametrize("id", NETWORK)
def test_a_good_server_backend_passes(id, toy):
    found = run(id, toy)
    assert found.status is Status.PASS, found.reason


def test_every_chunk_of_every_operation_is_broken(toy):
    found = run("OQ-X-0350-separate", toy, "pr")
    assert found.status is Status.PASS, found.reason
    for direction in ("to server", "to client"):
        seen = found.evidence[direction]
        assert seen["operations"] > 30
        assert seen["broken"] >= seen["operations"]
        assert seen["unknown"] + seen["lost"] >= seen["broken"]


@pytest.mark.parametrize("harness", [MemoryHarness(), SQLiteHarness()], ids=lambda harness: harness.backend)
@pytest.mark.parametrize("id", NETWORK)
def test_an_embedded_backend_has_no_connection_to_cut(id, harness):
    found = run(id, harness)
    assert found.status is Status.UNSUPPORTED
    assert "no connection to cut" in found.reason


@pytest.mark.parametrize("id", sorted(NEED_CONTROL))
def test_a_server_of_somebody_else_is_not_killed(id, toy):
    given = toy.at(toy.url)
    given.server = None
    found = run(id, given)
    assert (found.status, "not the suite's own" in found.reason) == (Status.UNVERIFIED, True)
    given.server = GivenServer("toy", "Toy", toy.url, "OMNIQ_TEST_TOY_URL")
    assert run(id, given).status is Status.UNVERIFIED


BROKEN = [
    (mutants.Swallowing, "OQ-X-0350-separate", "expected is"),
    (mutants.Retrying, "OQ-X-0350-separate", "expected is"),
    (mutants.Retrying, "OQ-X-0350-joined", "expected is"),
    (mutants.Certain, "OQ-X-0351-joined", "certainly not applied, but"),
    (mutants.Certain, "OQ-X-0353", "certainly not applied, but"),
    (mutants.Untyped, "OQ-X-0350-joined", "raised ConnectionResetError"),
    (mutants.Unforgiving, "OQ-X-0351-separate", "does not work again within"),
    (mutants.Unforgiving, "OQ-X-0373", "does not work again within"),
    (mutants.Hasty, "OQ-X-0352-separate", "raised"),
    (mutants.Hasty, "OQ-X-0352-joined", "raised"),
    (mutants.Hanging, "OQ-X-0353", "did not end within"),
    (mutants.Lazy, "OQ-X-0354", "did not mind"),
    (mutants.Leaking, "OQ-X-0355", "no more than"),
    (mutants.Deaf, "OQ-X-0356", "Still waiting"),
    (mutants.Deaf, "OQ-X-0371", "Still waiting"),
    (mutants.Forging, "OQ-X-0372", "assert"),
]


@pytest.mark.parametrize(("mutant", "id", "reason"), BROKEN)
def test_a_client_that_is_broken_is_found(mutant, id, reason, toy, monkeypatch):
    monkeypatch.setattr(disturbed, "RECOVERY", 1.0)
    monkeypatch.setattr(disturbed, "ENDS", 4.0)
    monkeypatch.setattr(toy, "link", mutant)
    found = run(id, toy)
    assert (found.status, reason in found.reason) == (Status.FAIL, True), found.reason


def test_a_server_that_acknowledges_what_it_has_not_stored_is_found():
    with ToyHarness(buffered=True) as harness:
        found = run("OQ-X-0370", harness)
    assert found.status is Status.FAIL
    assert "gone after the server was killed: {'tasks':" in found.reason
