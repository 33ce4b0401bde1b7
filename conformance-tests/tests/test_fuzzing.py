"""Each case with drawn values can fail: a backend that is broken in just that way does not pass it."""

from __future__ import annotations

import itertools
import unicodedata
from unittest.mock import patch

import attrs
import pytest
from breaking import assert_caught, broken, outcome, verdict

from omniq.storage import limits
from omniq_conformance.cases.drawn_values import at_most, drawn_names, drawn_payloads, long_twins
from omniq_conformance.outcomes import Status
from omniq_memory import schedules, task_queue
from omniq_memory.handle import MemoryHandle
from omniq_memory.result_table import ResultTable
from omniq_memory.results import MemoryResultStorage
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable
from omniq_sqlite import settling
from omniq_sqlite.conformance import SQLiteHarness


def spec_with(change):
    """Change every specification before it is stored."""

    def enqueue(original, self, specs, now, journal):
        return original(self, [change(spec) for spec in specs], now, journal)

    return TaskTable, "enqueue", enqueue


def cut(text):
    return text.encode()[:100].decode(errors="ignore")


def keys_normalized(spec):
    return attrs.evolve(spec, unique_key=spec.unique_key and unicodedata.normalize("NFC", spec.unique_key))


def shorter(spec):
    return attrs.evolve(spec, body=attrs.evolve(spec.body, args=spec.body.args[:-1]))


async def like(original, self, ids):
    wanted = {other for other in self._state.results.outcomes if any(other.startswith(id) for id in ids)}
    await original(self, [other for other in wanted if other not in ids])
    return await original(self, ids)


async def as_text(original, self, records, *, now=None):
    values = [record.value.decode(errors="replace").encode() for record in records]
    changed = [attrs.evolve(record, value=value) for record, value in zip(records, values, strict=True)]
    return await original(self, changed, now=now)


async def by_trimmed_name(original, self, names):
    return await original(
        self, [index for name in names for index in self._tasks.queues if index.strip() == name.strip()]
    )


def characters(original, subject, *arguments):
    return None


BROKEN = {
    "OQ-Q-0550-separate": spec_with(lambda spec: attrs.evolve(spec, id=cut(spec.id))),
    "OQ-Q-0550-joined": spec_with(lambda spec: attrs.evolve(spec, queue=cut(spec.queue))),
    "OQ-R-0550": (MemoryResultStorage, "delete", like),
    "OQ-S-0550": (schedules, "advance_schedule", lambda original, *args: True),
    "OQ-X-0550": (limits, "_check_name", characters),
    "OQ-X-0551": (limits, "_check_name", characters),
    "OQ-Q-0552-separate": (MemoryResultStorage, "put", as_text),
    "OQ-Q-0552-joined": spec_with(shorter),
    "OQ-Q-0553": (task_queue, "check_specs", lambda original, *args: None),
}


@pytest.mark.parametrize("id", BROKEN)
def test_a_broken_backend_does_not_pass(id, harness):
    assert_caught(id, harness, *BROKEN[id], profile="pr")
    assert verdict(id, SQLiteHarness()) is Status.PASS


def test_names_that_are_taken_for_each_other_are_told(harness):
    def folded(spec):
        return attrs.evolve(spec, id=spec.id.casefold())

    with broken(*spec_with(folded)):
        found = outcome("OQ-Q-0550-separate", harness, "pr")
    assert found.status is Status.FAIL
    assert found.reason.startswith("DivergenceError: With the names '")
    assert found.reason.count("', '") <= 1


@pytest.mark.parametrize("bug", [keys_normalized, lambda spec: attrs.evolve(spec, queue=spec.queue.strip() or "-")])
def test_names_that_are_changed_are_seen(harness, bug):
    with broken(*spec_with(bug)):
        assert verdict("OQ-Q-0550-separate", harness, "pr") is Status.FAIL


def test_pausing_what_is_alike_is_seen(harness):
    with broken(MemoryTaskQueue, "pause", by_trimmed_name):
        assert verdict("OQ-Q-0550-separate", harness, "pr") is Status.FAIL


def test_a_result_that_is_cut_at_a_nul_byte_is_seen():
    with patch.object(settling, "_is_text", lambda result: result.codec == "json"):
        assert verdict("OQ-Q-0552-joined", SQLiteHarness()) is Status.FAIL


def test_the_largest_body(harness):
    assert verdict("OQ-Q-0554", harness) is Status.UNVERIFIED
    original = MemoryHandle.__init__

    def small(self, state):
        original(self, state)
        object.__setattr__(self._capabilities, "max_payload_bytes", 100_000)

    with patch.object(MemoryHandle, "__init__", small):
        assert_caught("OQ-Q-0554", harness, *spec_with(shorter))
        assert_caught("OQ-Q-0554", harness, ResultTable, "put", lambda original, self, record, now: False)


def test_names_are_drawn_the_same_again_and_differ():
    drawn = drawn_names(12, 5)
    drawn_names.cache_clear()
    assert drawn_names(12, 5) == drawn
    assert drawn_names(12, 6) != drawn
    assert all(len(set(names)) == len(names) for names in drawn)
    pairs = [pair for names in drawn for pair in itertools.combinations(names, 2)]
    assert any(one.casefold() == other.casefold() for one, other in pairs)
    assert any(one.strip() == other.strip() for one, other in pairs)


def test_long_names_have_the_length():
    twins = long_twins(512, 3)
    assert len(set(twins)) == len(twins)
    assert {len(name.encode()) for name in twins} == {512}
    import random

    assert len(at_most(77, random.Random(1)).encode()) == 77


def test_payloads_have_every_byte_and_every_size():
    payloads = drawn_payloads(10, 0, 65_536)
    assert {byte for _, data in payloads for byte in data} == set(range(256))
    assert max(len(data) for _, data in payloads) <= 65_536
    assert {codec for codec, _ in payloads} == {"json", "msgpack"}
