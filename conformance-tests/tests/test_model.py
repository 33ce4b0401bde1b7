"""The oracle's own invariants, checked on random histories of the model alone."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from omniq.models.record import Completion, Enqueued, Failure, Release, TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.schedules import Advance
from omniq_conformance.invariants import (
    chains,
    check_chain,
    check_conservation,
    check_fold,
    check_log_order,
    check_records,
)
from omniq_conformance.model.events import EventsModel
from omniq_conformance.model.results import ResultsModel
from omniq_conformance.model.schedules import SchedulesModel
from omniq_conformance.model.task_queue import TaskQueueModel

QUEUE = st.sampled_from(["a", "b"])
ID = st.sampled_from([f"t{number}" for number in range(6)])
WORKER = st.sampled_from(["w1", "w2"])
KEY = st.none() | st.sampled_from(["k1", "k2"])
BODY = TaskBody(func="f")


class ModelMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.results = ResultsModel()
        self.model = TaskQueueModel(self.results)
        self.now = 1000
        self.tokens, self.granted, self.epochs, self.claims = [], set(), {}, 0
        self.created = set()

    @property
    def records(self):
        return self.model.store.records

    @rule(by=st.integers(0, 40))
    def tick(self, by):
        self.now += by

    @rule(
        id=ID,
        queue=QUEUE,
        priority=st.integers(0, 2),
        eta=st.none() | st.integers(-10, 40),
        attempts=st.integers(1, 3),
        key=KEY,
        expires=st.none() | st.integers(41, 90),
        interval=st.none() | st.integers(5, 30),
    )
    def enqueue(self, id, queue, priority, eta, attempts, key, expires, interval):
        spec = TaskSpec(
            id=id,
            body=BODY,
            queue=queue,
            priority=priority,
            eta=None if eta is None else self.now + eta,
            max_attempts=attempts,
            unique_key=key,
            expires_at=None if expires is None else self.now + expires,
            interval_ms=interval,
        )
        (answer,) = self.model.enqueue([spec], now=self.now)
        if answer.created:
            self.created.add(id)
        assert answer.id in self.records

    @rule(queues=st.sets(QUEUE, min_size=1), limit=st.integers(1, 3), worker=WORKER, lease=st.integers(1, 30))
    def claim(self, queues, limit, worker, lease):
        self.claims += 1
        grants = self.model.claim(sorted(queues), limit, worker, lease, f"c{self.claims}", now=self.now)
        assert grants == self.model.held(worker, f"c{self.claims}")
        for grant in grants:
            record = self.records[grant.id]
            assert (grant.id, grant.token) not in self.granted
            assert record.queue not in self.model.store.paused
            assert record.expires_at is None or record.expires_at > self.now
            self.granted.add((grant.id, grant.token))
            self.tokens.append((grant.id, grant.token))

    @rule(data=st.data(), method=st.sampled_from(["heartbeat", "complete", "retry", "fail", "release"]))
    def settle(self, data, method):
        if not self.tokens:
            return
        id, token = data.draw(st.sampled_from(self.tokens))
        before, log = dict(self.records), len(self.model.store.log)
        current = self.model.store.current(id, token)
        calls = {
            "heartbeat": lambda: self.model.heartbeat([(id, token)], 10, now=self.now),
            "complete": lambda: self.model.complete([Completion(id, token)], now=self.now),
            "retry": lambda: self.model.fail([Failure(id, token, "x", self.now + 5)], now=self.now),
            "fail": lambda: self.model.fail([Failure(id, token, "x")], now=self.now),
            "release": lambda: self.model.release([Release(id, token, self.now)], now=self.now),
        }
        (reply,) = calls[method]()
        if current is None:
            assert reply in {"lost", "already"}
            assert (self.records, len(self.model.store.log)) == (before, log)
        else:
            assert reply not in {"lost", "already"}

    @rule(queue=QUEUE, on=st.booleans())
    def pause(self, queue, on):
        (self.model.pause if on else self.model.resume)([queue])

    @rule(data=st.data(), method=st.sampled_from(["cancel", "redrive"]))
    def by_id(self, data, method):
        if self.records:
            getattr(self.model, method)([data.draw(st.sampled_from(sorted(self.records)))], now=self.now)

    @rule(states=st.sets(st.sampled_from(sorted(TERMINAL))), age=st.integers(0, 60), limit=st.integers(1, 9))
    def purge(self, states, age, limit):
        self.model.purge(frozenset(states), self.now - age, limit)

    @invariant()
    def records_and_events_agree(self):
        records, log = list(self.records.values()), self.model.store.log
        removed = self.model.store.removed
        assert list(check_records(records)) == []
        by_task = chains(log)
        assert [fault for chain in by_task.values() for fault in check_chain(chain)] == []
        for record in (*records, *removed):
            assert list(check_fold(record, by_task[record.id, record.seq])) == []
        keys = {record.id: (record.queue, record.unique_key) for record in records if record.unique_key}
        if not removed:  # afterwards one id may stand for two tasks
            assert list(check_log_order(log, keys)) == []
        created = self.created | {record.id for record in removed if record.series_id not in {None, record.id}}
        assert list(check_conservation(created, records, [], [record.id for record in removed])) in (
            [],
            [f"I8: task {id!r} has no events" for id in sorted(self.records)],
        )

    @invariant()
    def epochs_never_fall(self):
        for record in self.records.values():
            assert record.epoch >= self.epochs.get((record.id, record.seq), 0)
            self.epochs[record.id, record.seq] = record.epoch

    @invariant()
    def every_end_has_its_result(self):
        for record in self.records.values():
            if record.state in TERMINAL:
                result = self.results.stored[record.id]
                assert (result.seq, result.epoch, result.status) == (record.seq, record.epoch, record.state)

    @invariant()
    def pages_hold_every_record_once(self):
        for desc in (False, True):
            found, after = [], None
            while page := self.model.list(after=after, limit=2, desc=desc, now=self.now):
                found += [record.id for record in page]
                after = page[-1].seq
            assert sorted(found) == sorted(self.records)

    @invariant()
    def stats_add_up(self):
        stats = self.model.queues(now=self.now)
        pending = sum(each.scheduled + each.ready + each.expired for each in stats)
        ended = sum(each.completed + each.failed + each.cancelled for each in stats)
        assert pending + sum(each.running for each in stats) + ended == len(self.records)
        assert sum(each.ready for each in stats) == sum(
            record.state is TaskStatus.PENDING
            and record.ready_at <= self.now
            and not self.model.is_expired(record, self.now)
            for record in self.records.values()
        )


def test_the_model_of_the_queue_keeps_the_invariants():
    run_state_machine_as_test(
        ModelMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
            deadline=None,
            database=None,
            derandomize=True,
        ),
    )


def spec(id, **fields):
    return TaskSpec(id=id, body=BODY, queue="a", **fields)


def test_a_purged_id_is_a_new_task():
    model = TaskQueueModel(ResultsModel())
    model.enqueue([spec("t")], now=1)
    (first,) = model.claim(["a"], 1, "w", 10, "c1", now=1)
    model.complete([Completion("t", first.token)], now=1)
    assert model.purge(frozenset(TERMINAL), 2) == ["t"]
    assert model.enqueue([spec("t")], now=2) == [Enqueued("t", created=True)]
    model.claim(["a"], 1, "w", 10, "c2", now=2)
    assert model.complete([Completion("t", first.token)], now=2) == ["lost"]


def test_an_entry_of_the_outbox_keeps_a_task():
    model = TaskQueueModel()
    model.enqueue([spec("t")], now=1)
    model.cancel(["t"], now=1)
    assert model.purge(frozenset(TERMINAL), 9) == []
    model.outbox_ack(model.outbox(now=9))
    assert model.purge(frozenset(TERMINAL), 9) == ["t"]


def test_an_entry_of_the_outbox_waits_for_the_earlier_ones_of_its_task():
    model = TaskQueueModel()
    model.enqueue([spec("t"), spec("u")], now=10)
    model.cancel(["t"], now=5)
    assert [event.event_id for event in model.outbox(now=9)] == []
    assert [event.event_id for event in model.outbox(now=10)] == ["t:1:1", "u:2:1", "t:1:2"]


def test_a_pinned_task_is_purged_by_its_own_time():
    model = TaskQueueModel(ResultsModel())
    model.enqueue([spec("t"), spec("p", pinned=True)], now=1)
    model.cancel(["t", "p"], now=1)
    assert model.purge(frozenset(TERMINAL), 5, pinned_before=1) == ["t"]
    assert model.purge(frozenset(TERMINAL), 0, pinned_before=2) == ["p"]


def test_results_live_until_their_time_and_count_until_they_are_purged():
    model = ResultsModel()

    def put(epoch, now):
        return model.put([ResultRecord(id="t", seq=1, epoch=epoch, status=TaskStatus.FAILED, ttl_ms=10)], now=now)

    assert put(2, 100) == [True]
    there = [len(model.list(now=now)) for now in (109, 110, 111)]
    assert there == [1, 0, 0]
    assert put(1, 120) == [False]
    assert model.purge_expired(now=120) == 1
    assert put(1, 120) == [True]


def test_a_trimmed_event_is_not_known_any_more():
    from omniq.models.event import Event, EventType

    model = EventsModel()
    event = Event(task_id="t", seq=1, version=1, type=EventType.ENQUEUED, at=5)
    assert [model.append([event, event]), model.append([event])] == [1, 0]
    assert model.trim(6) == 1
    assert model.append([event]) == 1
    assert [number for number, _ in model.read(after=0)] == [1]


def test_schedules_change_by_compare_and_set():
    model = SchedulesModel()
    made = model.put(Schedule(id="s", kind=ScheduleKind.ONCE, body=BODY, next_run=5), expected_version=0, now=7)
    assert (made.version, made.created_at) == (7, 7)
    assert model.put(made, expected_version=0, now=8) is None
    assert model.advance([Advance(id="s", expected_version=6, next_run=None)]) == [False]
    assert model.advance([Advance(id="s", expected_version=7, next_run=9, last_run=5, fired=1)]) == [True]
    assert (model.next_due(), model.stored["s"].runs, model.stored["s"].last_run) == (9, 1, 5)
    assert [schedule.version for schedule in model.pause(["s"])] == [9]
    assert (model.pause(["s"]), model.due(now=9)) == ([None], [])
