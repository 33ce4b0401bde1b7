"""Several backends as one, and backends that offer some of the roles."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import attrs
import pytest
from breaking import ITEMS, run
from partial_backends import PartialHarness, partial_backend

from omniq.models.config import Role
from omniq.models.status import TaskStatus
from omniq_conformance.cases.specimens import T0, outcome, spec, start
from omniq_conformance.discovery import find_harness
from omniq_conformance.known import KnownIssue
from omniq_conformance.mixed import MixedHarness, completed
from omniq_conformance.outcomes import DivergenceError, Status, UnsupportedError, UnverifiedError
from omniq_conformance.space import Mode, Space
from omniq_memory.conformance import MemoryHarness
from omniq_memory.journal import Outbox
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_sqlite.conformance import SQLiteHarness

PAIRS = [id for id in ITEMS if id.startswith(("OQ-X-011", "OQ-X-012", "OQ-X-013", "OQ-X-014"))]
MIXES = [
    "sqlite,results=memory",
    "memory,results=sqlite",
    "sqlite,events=sqlite,result_storage=sqlite",
    "task_queue=memory,results=sqlite,events=memory,schedules=sqlite",
]


@pytest.mark.parametrize("name", MIXES)
def test_roles_on_different_backends_work_together(name):
    with find_harness(name) as harness:
        ids = [id for id in PAIRS if not id.endswith("joined")] + [
            "OQ-Q-0101-separate",
            "OQ-Q-0552-separate",
            "OQ-Q-0901-separate",
            "OQ-X-0956",
            "OQ-X-0980-separate",
        ]
        found = {id: run(id, harness) for id in ids}
    assert {id: outcome.reason for id, outcome in found.items() if outcome.status is not Status.PASS} == {}


def test_results_have_a_limit_of_their_own():
    class Limited(MemoryHarness):
        async def open(self, namespace):
            stores = await super().open(namespace)
            for storage, limit in ((stores.task_queue, 10_000), (stores.results, 1_000)):
                storage._capabilities = attrs.evolve(storage.capabilities, max_payload_bytes=limit)
            return stores

    with Limited() as harness:
        assert run("OQ-Q-0554", harness).reason == ""


def test_roles_of_different_domains_are_not_joined():
    with find_harness("sqlite,results=memory") as harness:
        found = run("OQ-X-0110-joined", harness)
        assert found.status is Status.UNSUPPORTED
        assert "does not have result storage: it joined event storage, schedule storage" in found.reason
        assert run("OQ-X-0163", harness).status is Status.PASS


def test_a_queue_that_joined_all_but_the_schedules_fires_none():
    ids = [id for id in ITEMS if id.startswith(("OQ-S-", "OQ-X-0401")) and id.endswith("-joined")]
    ids.append("OQ-X-0955-joined")
    with find_harness("sqlite,schedules=sqlite") as harness:
        found = {id: run(id, harness) for id in ids}
    assert {id: each.reason for id, each in found.items() if not each.status.is_good} == {}
    assert found["OQ-X-0401-joined"].status is Status.UNSUPPORTED


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("memory,schedules=sqlite", "The task queue of 'memory' is one process's own"),
        ("sqlite,schedules=memory", "The schedule storage of 'memory' is one process's own"),
    ],
)
def test_the_role_that_one_process_has_for_itself_is_named(name, told):
    with find_harness(name) as harness:
        found = run("OQ-X-1113-separate", harness)
    assert found.status is Status.UNSUPPORTED
    assert told in found.reason


def test_a_queue_that_joins_what_it_was_not_asked_to_is_found():
    def eager(self, roles):
        return frozenset(Role)

    with find_harness("memory,results=sqlite") as harness, patch.object(MemoryTaskQueue, "join", eager):
        assert "was asked to join" in run("OQ-X-0110-joined", harness).reason


def test_a_queue_that_fires_schedules_of_another_store_is_found():
    async def fire(self, specs, advance, *, now=None):
        return None

    with find_harness("memory,results=sqlite,schedules=sqlite") as harness, patch.object(MemoryTaskQueue, "fire", fire):
        found = run("OQ-X-0110-joined", harness)
    assert found.status is Status.FAIL
    assert "does not refuse `fire`" in found.reason


def test_each_role_is_kept_where_it_was_said():
    memory, first, second = MemoryHarness(), SQLiteHarness(), SQLiteHarness()
    parts = {Role.RESULT_STORAGE: memory, Role.EVENT_STORAGE: first, Role.TASK_QUEUE: second}
    harness = MixedHarness(parts)
    assert harness.backend == "sqlite+memory+sqlite"
    assert [harness.keeper(role) for role in parts] == [memory, first, second]

    async def domains():
        async with Space(harness) as space:
            stores = await space.open()
            assert stores.opened.schedules is None
            await stores.task_queue.enqueue([spec("t")], now=T0)
            return [stores.role(role).capabilities.transaction_domain for role in parts]

    kept = asyncio.run(domains())
    assert kept[0].startswith("memory:")
    assert kept[1] != kept[2]
    assert kept[1].startswith("sqlite:")


def test_a_mix_is_not_reached_through_one_url():
    with pytest.raises(UnverifiedError, match="test them one by one"):
        find_harness("sqlite,results=memory").at("tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sqlite,result=memory", "Did you mean 'results'"),
        ("task_qeue=sqlite", "Did you mean 'task_queue'"),
        ("memory,sqlite", "several backends without a role"),
        ("memory,events=sqlit", "Did you mean 'sqlite'"),
    ],
)
def test_wrong_mixes_are_refused_with_a_hint(name, message):
    with pytest.raises(ValueError, match=message):
        find_harness(name)


def test_a_url_for_several_backends_is_refused():
    with pytest.raises(ValueError, match="Leave it out"):
        find_harness("sqlite,results=memory", "/somewhere")


def run_all(harness, prefixes):
    ids = [id for id in ITEMS if id[3:7] in prefixes or id[3:8] in prefixes]
    return {id: run(id, harness) for id in ids}


def test_a_backend_with_results_only(tmp_path, monkeypatch):
    with partial_backend("only_results", [Role.RESULT_STORAGE], tmp_path, monkeypatch) as harness, harness:
        found = run_all(harness, {"R-01", "R-05", "R-08", "X-01", "X-09", "Q-06"})
    bad = {id: each.reason for id, each in found.items() if each.status not in {Status.PASS, Status.UNSUPPORTED}}
    assert bad == {}
    passed = {id for id, each in found.items() if each.status is Status.PASS}
    assert {id for id in found if id.startswith("OQ-R")} <= passed
    assert {"OQ-X-0110-separate", "OQ-X-0116", "OQ-X-0901", "OQ-X-0902", "OQ-X-0903", "OQ-X-0904"} <= passed
    assert found["OQ-X-0110-separate"].evidence["backends"] == "memory+only_results"
    assert found["OQ-Q-0601"].reason.startswith("UnsupportedError: The backend offers no task queue")
    assert found["OQ-X-0111-separate"].status is Status.UNSUPPORTED


def test_a_backend_with_a_queue_and_results(tmp_path, monkeypatch):
    roles = [Role.TASK_QUEUE, Role.RESULT_STORAGE]
    with partial_backend("queue_and_results", roles, tmp_path, monkeypatch) as harness, harness:
        found = run_all(harness, {"Q-01", "Q-13", "R-01", "S-01", "X-01"})
    bad = {id: each.reason for id, each in found.items() if each.status not in {Status.PASS, Status.UNSUPPORTED}}
    assert bad == {}
    passed = {id for id, each in found.items() if each.status is Status.PASS}
    assert {id for id in found if id.startswith("OQ-Q") and id.endswith("separate")} <= passed
    assert {"OQ-X-0110-separate", "OQ-X-0111-separate", "OQ-X-0112-separate", "OQ-X-0160", "OQ-X-0164"} <= passed
    assert found["OQ-S-0101-separate"].status is Status.UNSUPPORTED
    assert found["OQ-X-0165"].status is Status.UNSUPPORTED


def test_a_partial_backend_that_is_broken_fails_with_the_others_roles(tmp_path, monkeypatch):
    with partial_backend("broken_queue", [Role.TASK_QUEUE], tmp_path, monkeypatch) as harness, harness:
        assert run("OQ-X-0125", harness).status is Status.PASS
        with patch.object(MemoryTaskQueue, "outbox_ack", nothing):
            assert run("OQ-X-0125", harness).status is Status.FAIL


async def nothing(self, entries):
    return None


def test_a_role_that_is_declared_and_not_opened_is_unverified():
    harness = PartialHarness("memory", {Role.TASK_QUEUE})

    async def only_the_queue(namespace):
        return attrs.evolve(await MemoryHarness.open(harness, namespace), results=None)

    with patch.object(harness, "open", only_the_queue):
        found = run("OQ-R-0502", harness)
    assert (found.status, "The harness opens no result storage" in found.reason) == (Status.UNVERIFIED, True)


def test_a_role_that_is_not_declared_and_is_not_refused_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("omniq_conformance.roles.load_backend", FakeLoader())
    with partial_backend("lenient", [Role.TASK_QUEUE], tmp_path, monkeypatch) as harness, harness:
        found = run("OQ-R-0502", harness)
    assert found.status is Status.FAIL
    assert isinstance(found.error, DivergenceError)


class FakeLoader:
    """A plugin layer that gives a backend whatever role is asked of it."""

    def __call__(self, name, role):
        from omniq.storage.plugins import load_backend

        return load_backend(name, Role.TASK_QUEUE)


def test_completing_needs_memory_or_says_so(tmp_path, monkeypatch):
    with partial_backend("lonely", [Role.TASK_QUEUE], tmp_path, monkeypatch) as harness:
        with pytest.raises(UnsupportedError, match="offers no result storage"):
            completed(harness, [Role.RESULT_STORAGE])
        monkeypatch.setattr("omniq_conformance.discovery.harness_names", list)
        monkeypatch.setattr("omniq_conformance.discovery.entry_points", lambda group: [])
        with pytest.raises(UnverifiedError, match="pip install omniq-memory"):
            completed(harness, [Role.TASK_QUEUE])


def test_a_volatile_backend_that_is_empty_when_reopened_is_unsupported(harness):
    class Forgetful(MemoryHarness):
        async def open(self, namespace):
            if not any(storage for storage in self.handles if storage._open):
                self._configs.pop(namespace, None)
            opened = await super().open(namespace)
            self.handles += opened
            return opened

    forgetful = Forgetful()
    forgetful.handles = []
    for id in ("OQ-Q-0901-separate", "OQ-Q-0901-joined", "OQ-E-0901"):
        found = run(id, forgetful)
        assert (found.status, "durability none, and was empty" in found.reason) == (Status.UNSUPPORTED, True)
        assert run(id, harness).status is Status.PASS


def test_outcomes_that_land_in_the_wrong_place_are_found(harness):
    original = MemoryTaskQueue.join
    wrong = {Role.RESULT_STORAGE: Role.EVENT_STORAGE, Role.EVENT_STORAGE: Role.RESULT_STORAGE}

    def swapped(self, roles):
        original(self, frozenset(wrong.get(role, role) for role in roles))
        return roles

    ids = ["OQ-X-0160", "OQ-X-0161", "OQ-X-0164", "OQ-X-0165"]
    with patch.object(MemoryTaskQueue, "join", swapped):
        assert {id: run(id, harness).status for id in ids} == dict.fromkeys(ids, Status.FAIL)
    assert {id: run(id, harness).status for id in ids} == dict.fromkeys(ids, Status.PASS)


@pytest.mark.parametrize("id", ["OQ-X-0167-results-joined", "OQ-X-0167-events-joined"])
def test_a_sibling_that_has_joined_nothing_is_found(id, harness):
    with patch.object(MemoryTaskQueue, "sibling", lambda self: MemoryTaskQueue(self._shared)):
        assert run(id, harness).status is Status.FAIL
    assert run(id, harness).status is Status.PASS


@pytest.mark.parametrize("id", ["OQ-X-0166-results-joined", "OQ-X-0166-events-joined"])
def test_a_purge_before_the_relay_is_found(id, harness):
    with patch.object(Outbox, "has", lambda self, seq: False):
        assert run(id, harness).status is Status.FAIL
    assert run(id, harness).status is Status.PASS


def test_a_queue_that_fires_without_schedules_is_found(harness):
    async def fire(self, specs, advance, *, now=None):
        return await self.enqueue(specs, now=now)

    with patch.object(MemoryTaskQueue, "fire", fire):
        assert run("OQ-X-0168-events-joined", harness).status is Status.FAIL


def test_stores_that_claim_one_domain_are_found(harness):
    original = MemoryHarness.open

    async def one_store(self, namespace):
        return await original(self, "the same for all")

    async def keep(self, namespace):
        return None

    with patch.multiple(MemoryHarness, open=one_store, destroy=keep):
        assert run("OQ-X-0169", MemoryHarness()).status is Status.FAIL
    assert run("OQ-X-0169", harness).status is Status.PASS


def test_a_known_issue_covers_every_mode():
    issue = KnownIssue("OQ-X-0166", "https://example.org/1", "Purged too early.", "2030-01-01")
    assert issue.covers("OQ-X-0166-results-joined")
    assert issue.covers("OQ-X-0166")
    assert not issue.covers("OQ-X-0167-results-joined")
    one = KnownIssue("OQ-X-0166-results-joined", "https://example.org/1", "Purged too early.", "2030-01-01")
    assert [one.covers(f"OQ-X-0166-{mode}") for mode in (Mode.RESULTS_JOINED, Mode.EVENTS_JOINED)] == [True, False]


def test_results_in_another_store_survive_what_the_queue_forgets():
    async def story():
        async with Space(find_harness("memory,results=sqlite")) as space:
            stores = await space.open()
            grant = await start(stores.task_queue, "t", now=T0)
            await stores.results.put([outcome("t", seq=grant.token.seq)], now=T0)
            await stores.task_queue.outbox_ack(await stores.task_queue.outbox(now=T0))
            await stores.task_queue.cancel(["t"], now=T0)
            return (await stores.results.get(["t"], now=T0))[0].status

    assert asyncio.run(story()) is TaskStatus.COMPLETED


def test_a_role_that_keeps_nothing_promises_nothing_after_a_crash():
    with find_harness("memory,task_queue=sqlite") as harness:
        found = run("OQ-X-0401-separate", harness)
    assert found.status is Status.UNSUPPORTED
    assert "durability none for result storage, event storage, schedule storage" in found.reason
