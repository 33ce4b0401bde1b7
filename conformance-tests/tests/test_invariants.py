from __future__ import annotations

import attrs
import pytest

from omniq.models.event import EventType
from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.status import TaskStatus
from omniq_conformance.invariants import (
    chains,
    check_chain,
    check_conservation,
    check_fold,
    check_log_order,
    check_records,
)
from omniq_conformance.model.results import ResultsModel
from omniq_conformance.model.task_queue import TaskQueueModel


@pytest.fixture
def model():
    """A store with a task that was completed and one that runs."""
    model = TaskQueueModel(ResultsModel())
    model.enqueue([TaskSpec(id=id, body=TaskBody(func="f"), queue="a", unique_key=id) for id in "tu"], now=1)
    grants = model.claim(["a"], 2, "w", 10, "c", now=2)
    model.complete([Completion("t", grants[0].token)], now=3)
    return model


def faults(found):
    return [fault.partition(":")[0] for fault in found]


def test_a_good_store_has_no_faults(model):
    records, log = list(model.store.records.values()), model.store.log
    found = [*check_records(records), *check_conservation("tu", records, log)]
    for (id, _), chain in chains(log).items():
        found += [*check_chain(chain), *check_fold(model.store.records[id], chain)]
    assert found == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"attempts": 4}, ["I4"]),
        ({"attempts": -1}, ["I4"]),
        ({"epoch": 0}, ["I4"]),
        ({"lease_until": None}, ["I13"]),
        ({"worker": None}, ["I13"]),
        ({"finished_at": 5}, ["I13"]),
        ({"state": TaskStatus.PENDING, "lease_until": None, "worker": None, "cancel_requested": True}, ["I13"]),
    ],
)
def test_impossible_records_are_found(model, changes, expected):
    record = attrs.evolve(model.store.records["u"], **changes)
    assert faults(check_records([record])) == expected


def test_two_holders_of_one_unique_key_are_found(model):
    record = model.store.records["u"]
    other = attrs.evolve(record, id="v", seq=9)
    assert faults(check_records([record, other])) == ["I6"]


def test_two_live_runs_of_one_series_are_found(model):
    record = attrs.evolve(model.store.records["u"], unique_key=None, series_id="s")
    other = attrs.evolve(record, id="v", seq=9)
    assert faults(check_records([record, other])) == ["I14"]


def test_one_seq_for_two_tasks_is_found(model):
    record = attrs.evolve(model.store.records["u"], unique_key=None)
    assert [fault.split()[0] for fault in check_records([record, attrs.evolve(record, id="v")])] == ["seq"]


@pytest.mark.parametrize(
    ("place", "changes", "expected"),
    [
        (1, {"version": 5}, ["I8"]),
        (1, {"type": EventType.COMPLETED}, ["I7"]),
        (1, {"epoch": 3}, ["I1", "I1"]),
        (1, {"attempt": 0}, ["I8", "I8"]),
        (2, {"epoch": 0}, ["I1"]),
        (2, {"state": TaskStatus.FAILED}, ["I8"]),
    ],
)
def test_impossible_chains_are_found(model, place, changes, expected):
    chain = list(chains(model.store.log)["t", 1])
    chain[place] = attrs.evolve(chain[place], **changes)
    assert faults(check_chain(chain)) == expected


def test_a_run_after_the_end_is_found(model):
    chain = chains(model.store.log)["t", 1]
    again = attrs.evolve(chain[1], version=4, epoch=2, attempt=2)
    assert faults(check_chain([*chain, again])) == ["I7"]


def test_a_retry_of_a_cancelled_run_is_found(model):
    model.cancel(["u"], now=4)
    chain = chains(model.store.log)["u", 2]
    retry = attrs.evolve(chain[-1], version=4, type=EventType.RETRYING, state=TaskStatus.PENDING, ready_at=5)
    assert faults(check_chain([*chain, retry])) == ["I7"]


@pytest.mark.parametrize(
    "name", ["worker", "started_at", "enqueued_at", "attempts", "epoch", "version", "state", "error"]
)
def test_records_that_differ_from_their_events_are_found(model, name):
    chain = [attrs.evolve(event, error="boom") for event in chains(model.store.log)["u", 2]]
    good = attrs.evolve(model.store.records["u"], error="boom")
    bad = attrs.evolve(good, **{name: None})
    assert list(check_fold(good, chain)) == []
    assert faults(check_fold(bad, chain)) == ["I8"]


def test_lost_and_invented_tasks_are_found(model):
    records, log = list(model.store.records.values()), model.store.log
    assert faults(check_conservation("tuv", records, log)) == ["I3"]
    assert faults(check_conservation("t", records, log)) == ["I3", "I3"]
    assert faults(check_conservation("tu", records[:1], log)) == ["I3"]
    assert faults(check_conservation("tu", records, log[:1])) == ["I8"]
    assert faults(check_conservation("tu", records[:1], log, removed="u")) == []


def test_a_unique_key_held_twice_at_a_time_is_found(model):
    same = dict.fromkeys("tu", ("a", "k"))
    assert set(faults(check_log_order(model.store.log, same))) == {"I6"}
    assert faults(check_log_order(model.store.log[::-1], {}))[0] == "I8"
