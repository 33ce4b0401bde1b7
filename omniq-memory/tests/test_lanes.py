from __future__ import annotations

import random

import pytest

from omniq.models.status import TaskStatus
from omniq_memory.lanes import Deadlines, Lane
from omniq_memory.queue_index import NEVER, QueueIndex, take_ready
from omniq_memory.records import new_record


@pytest.fixture
def task(spec):
    def make(seq, ready_at, *, priority=0, queue="default"):
        return new_record(spec(f"t{seq}", eta=ready_at, priority=priority, queue=queue), seq, 0)

    return make


@pytest.mark.parametrize("seed", range(100))
def test_a_lane_gives_tasks_in_order_whatever_happens_to_them(seed, task):
    chance = random.Random(seed)
    lane, tasks, now = Lane(0), [], 50
    for seq in range(60):
        now += chance.choice([-9, 0, 0, 1, 5])
        tasks.append(task(seq, max(0, now + chance.choice([0, 0, 0, -3, 20]))))
        lane.push(tasks[-1], now)
        victim = chance.choice(tasks)
        match chance.randrange(8):
            case 0 if victim.state is TaskStatus.PENDING:  # cancelled
                victim.state = TaskStatus.CANCELLED
                lane.note_void()
            case 1 if victim.state is not TaskStatus.PENDING:  # put back at another time
                victim.state, victim.ready_at = TaskStatus.PENDING, max(0, now + chance.choice([-5, 0, 7]))
                lane.push(victim, now)
            case 2:
                limit = chance.randint(0, 4)
                ready = sorted((each.ready_at, each.seq) for each in tasks if each.state is TaskStatus.PENDING)
                expected = [pair for pair in ready if pair[0] <= now][:limit]
                assert lane.head() == (ready[0] if ready else None)
                taken = []
                lane.take(limit, now, taken)
                assert [(each.ready_at, each.seq) for each in taken] == expected
                assert all(each.state is TaskStatus.RUNNING for each in taken)
    assert {each.seq for each in lane} == {each.seq for each in tasks if each.state is TaskStatus.PENDING}


@pytest.mark.parametrize("seed", range(50))
def test_the_union_of_queues_is_taken_in_order(seed, task):
    chance = random.Random(seed)
    queues = [QueueIndex(name) for name in "abc"]
    tasks = []
    for seq in range(40):
        queue = chance.choice(queues)
        tasks.append(task(seq, chance.randint(0, 30), priority=chance.randint(0, 2), queue=queue.name))
        queue.lane(tasks[-1].priority).push(tasks[-1], 15)
    ready = sorted((each for each in tasks if each.ready_at <= 15), key=lambda t: (-t.priority, t.ready_at, t.seq))
    limit = chance.randint(1, 45)
    assert [each.seq for each in take_ready(queues, limit, 15)] == [each.seq for each in ready[:limit]]


def test_next_at_is_the_earliest_ready_task_or_lease(task):
    queue = QueueIndex("default")
    assert queue.next_at() == NEVER
    queue.lane(0).push(task(1, 70), 0)
    queue.lane(9).push(task(2, 80), 0)
    assert queue.next_at() == 70
    queue.paused = True
    assert queue.next_at() == NEVER
    running = task(3, 0)
    running.lease_until = 60
    queue.running[3] = running
    assert queue.next_at() == 60


@pytest.mark.parametrize("at", [0, 500], ids=["in line", "delayed"])
def test_cancelled_tasks_do_not_pile_up_behind_one_that_waits(task, at):
    lane = Lane(0)
    lane.push(task(0, at), 0)
    for seq in range(1, 10_000):
        cancelled = task(seq, at)
        lane.push(cancelled, 0)
        cancelled.state = TaskStatus.CANCELLED
        lane.note_void()
    assert len(lane.line) + len(lane._heap) < 3000
    assert lane.head() == (at, 0)


def test_a_delayed_task_does_not_stand_in_the_way_of_ready_ones(task):
    lane = Lane(0)
    lane.push(task(0, 500), 0)
    for seq in range(1, 100):
        lane.push(task(seq, 0), 0)
    assert (len(lane.line), len(lane._heap)) == (99, 1)


def test_deadlines_come_in_order_and_let_go_of_void_ones(task):
    deadlines = Deadlines(lambda each: each.expires_at)
    tasks = [task(seq, 0) for seq in range(5000)]
    for each in tasks:
        each.expires_at = 10_000 - each.seq
        deadlines.push(each.expires_at, each)
        if each.seq >= 10:
            each.expires_at = None
    assert len(deadlines._heap) < 3000
    assert not deadlines.may_have(0)
    times = []
    while (head := deadlines.head()) is not None:
        times.append(head[0])
        deadlines.pop()
    assert times == sorted(10_000 - seq for seq in range(10))
