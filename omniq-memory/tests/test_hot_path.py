"""What is written out for speed equals `omniq.storage.transitions`."""

from __future__ import annotations

import random

import attrs
import pytest

from omniq.models.config import Role
from omniq.models.record import Completion, Grant, TaskRecord, TaskSpec, Token
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage import transitions
from omniq_memory.event_log import EventLog
from omniq_memory.journal import Journal
from omniq_memory.records import copy_record, new_record
from omniq_memory.result_table import ResultTable
from omniq_memory.task_table import TaskTable

NOW = 1_000_000
BOTH = frozenset({Role.RESULT_STORAGE, Role.EVENT_STORAGE})


class Table:
    """A table with a log, for calls without the asynchronous face."""

    def __init__(self):
        self.tasks, self.log, self.results = TaskTable(), EventLog(), ResultTable()
        self.journal = Journal(self.log, self.results, self.tasks.outbox, BOTH)

    def events(self, task_id):
        events = self.log.read(0, self.log.end, 10_000, None, desc=False)
        return [attrs.evolve(event, position=None) for event in events if event.task_id == task_id]


def random_spec(chance, task_id, body):
    return TaskSpec(
        id=task_id,
        body=body,
        queue=chance.choice(["a", "b"]),
        priority=chance.randint(0, 9),
        eta=chance.choice([None, NOW - 5, NOW, NOW + 50]),
        max_attempts=chance.randint(1, 5),
        unique_key=chance.choice([None, None, f"key of {task_id}"]),
        expires_at=chance.choice([None, None, NOW + 100]),
        interval_ms=chance.choice([None, None, 70]),
        series_id=chance.choice([None, None, "s"]),
        nominal_at=chance.choice([None, None, NOW + 3]),
        pinned=chance.random() < 0.5,
    )


def plain_spec(chance, task_id, body):
    return TaskSpec(id=task_id, body=body, queue=chance.choice(["a", "b"]), priority=chance.randint(0, 9))


@pytest.mark.parametrize("make", [random_spec, plain_spec])
@pytest.mark.parametrize("seed", range(100))
def test_a_life_through_the_hot_path_equals_the_transitions(seed, make, spec):
    chance = random.Random(seed)
    table = Table()
    specs = [make(chance, f"t{number}", spec("").body) for number in range(chance.randint(1, 6))]

    answers = table.tasks.enqueue(specs, NOW, table.journal)

    expected = {each.id: transitions.create(each, seq, NOW) for seq, each in enumerate(specs, 1)}
    assert [(answer.id, answer.created) for answer in answers] == [(each.id, True) for each in specs]
    assert {task_id: copy_record(record) for task_id, record in table.tasks.records.items()} == expected
    first_events = [event for each in specs for event in table.events(each.id)]
    assert [(event.task_id, event.type, event.version, event.ready_at, event.state) for event in first_events] == [
        (each.id, "ENQUEUED", 1, each.ready_at, TaskStatus.PENDING) for each in expected.values()
    ]

    started = NOW + chance.randint(0, 60)
    grants = table.tasks.claim(["a", "b"], chance.randint(1, 6), "w", 1000, "nonce", started, table.journal)

    for grant in grants:
        record = expected[grant.id]
        event = transitions.apply(
            record, transitions.start(record, started, worker="w", lease_ms=1000, nonce="nonce"), started
        )
        assert copy_record(table.tasks.records[grant.id]) == record
        assert table.events(grant.id)[1:] == [event]
        assert grant == grant_like(record)
        assert type(grant.token) is Token

    ended = started + chance.randint(0, 60)
    items = [completion(grant, ttl_ms=chance.choice([None, 5])) for grant in grants]
    assert table.tasks.complete(items, ended, table.journal) == ["ok"] * len(grants)

    for item in items:
        record = expected[item.id]
        event = transitions.apply(record, transitions.complete(record, ended), ended)
        assert copy_record(table.tasks.records[item.id]) == record
        assert table.events(item.id)[2:] == [event]
        stored = attrs.evolve(
            item.result, stored_at=ended, expires_at=None if item.result.ttl_ms is None else ended + item.result.ttl_ms
        )
        assert table.results.get(item.id, ended) == stored


@pytest.mark.parametrize("seed", range(200))
def test_new_record_equals_create(seed, spec):
    made = random_spec(random.Random(seed), "t", spec("").body)
    assert new_record(made, 7, NOW) == transitions.create(made, 7, NOW)


def test_a_copy_is_a_record_of_its_own(spec):
    record = new_record(spec("t"), 1, NOW)
    copy = copy_record(record)
    record.state = TaskStatus.RUNNING
    assert (type(copy), copy.state) == (TaskRecord, TaskStatus.PENDING)


@pytest.mark.parametrize(
    ("change", "answer"),
    [({"seq": 2}, "lost"), ({"epoch": 2}, "lost"), ({"nonce": "other"}, "lost"), ({}, "ok")],
)
def test_complete_compares_every_part_of_the_token(spec, change, answer):
    table = Table()
    table.tasks.enqueue([spec("t")], NOW, table.journal)
    (grant,) = table.tasks.claim(["default"], 1, "w", 1000, "nonce", NOW, table.journal)
    item = Completion("t", grant.token._replace(**change))
    assert table.tasks.complete([item], NOW, table.journal) == [answer]


def test_complete_keeps_the_later_result(spec):
    table = Table()
    table.tasks.enqueue([spec("t"), spec("u")], NOW, table.journal)
    first, second = table.tasks.claim(["default"], 2, "w", 1000, "nonce", NOW, table.journal)
    later = ResultRecord(id="t", seq=99, epoch=1, status=TaskStatus.COMPLETED, value=b"later")
    same = ResultRecord(id="u", seq=2, epoch=1, status=TaskStatus.COMPLETED, value=b"provisional")
    table.results.put(later, NOW)
    table.results.put(same, NOW)
    assert table.tasks.complete([completion(first), completion(second)], NOW, table.journal) == ["ok", "ok"]
    assert [table.results.get(task_id, NOW).value for task_id in ("t", "u")] == [b"later", b"1"]


def completion(grant, *, ttl_ms=None):
    seq, epoch, _ = grant.token
    result = ResultRecord(
        id=grant.id, seq=seq, epoch=epoch, status=TaskStatus.COMPLETED, value=b"1", codec="c", ttl_ms=ttl_ms
    )
    return Completion(grant.id, grant.token, result)


def grant_like(record):
    return Grant(
        id=record.id,
        token=record.token,
        attempt=record.attempts,
        max_attempts=record.max_attempts,
        queue=record.queue,
        priority=record.priority,
        enqueued_at=record.enqueued_at,
        ready_at=record.ready_at,
        lease_until=record.lease_until,
        body=record.body,
        series_id=record.series_id,
        nominal_at=record.nominal_at,
    )
