from __future__ import annotations

import random

import attrs
import pytest

from omniq.models.record import Completion, Failure, QueueStats, TaskFilter
from omniq.models.status import TERMINAL, TaskStatus, TaskView

NOW = 1_000_000
STATES = (*TaskStatus, *TaskView)


async def mixed(roles, spec, chance, size=120):
    """Tasks in every state and view at NOW."""
    for number in range(size):
        await roles.queue.enqueue(
            [
                spec(
                    f"t{number}",
                    func=chance.choice("fg"),
                    queue=chance.choice("ab"),
                    priority=chance.randint(0, 2),
                    unique_key=chance.choice([None, f"k{number % 3}-{number}"]),
                    interval_ms=chance.choice([None, None, None, 1000]),
                    expires_at=chance.choice([None, None, NOW - 10, NOW + 10]),
                )
            ],
            now=NOW - size + number,
        )
    for grant in await roles.queue.claim(["a", "b"], size // 2, "w", 1000, "c", now=NOW - 20):
        match chance.randrange(5):
            case 0:
                await roles.queue.complete([Completion(grant.id, grant.token)], now=NOW - 15)
            case 1:
                await roles.queue.fail([Failure(grant.id, grant.token, "boom")], now=NOW - 15)
            case 2:
                await roles.queue.fail([Failure(grant.id, grant.token, "boom", NOW + 20)], now=NOW - 15)
            case 3:
                await roles.queue.heartbeat([(grant.id, grant.token)], chance.choice([15, 5000]), now=NOW - 15)
    waiting = [each.id for each in await roles.queue.list(limit=999) if each.state is TaskStatus.PENDING]
    await roles.queue.cancel(chance.sample(waiting, 10), now=NOW - 5)
    for number in range(5):  # leases of their own, so that some are stale
        await roles.queue.enqueue([spec(f"s{number}", queue="stale")], now=NOW - 9)
    await roles.queue.claim(["stale"], 3, "w", 4, "d", now=NOW - 9)
    return await roles.queue.list(limit=999)


def random_filter(chance):
    return TaskFilter(
        states=chance.choice([None, frozenset(chance.sample(STATES, chance.randint(0, 3)))]),
        queues=chance.choice([None, frozenset("a"), frozenset(["a", "stale", "unknown"])]),
        funcs=chance.choice([None, None, frozenset("f")]),
        unique_key=chance.choice([None, None, None, "k1-7"]),
        series_id=chance.choice([None, None, None, "t5"]),
        ids=chance.choice([None, None, frozenset(f"t{number}" for number in range(0, 60, 3))]),
        enqueued_from=chance.choice([None, NOW - 90]),
        enqueued_before=chance.choice([None, NOW - 30]),
    )


@pytest.mark.parametrize("seed", range(25))
async def test_the_filter_means_what_it_defines(roles, spec, seed):
    chance = random.Random(seed)
    everything = await mixed(roles, spec, chance)
    for _ in range(40):
        where, desc, limit = random_filter(chance), chance.random() < 0.5, chance.choice([1, 5, 20, 500])
        after = chance.choice([None, chance.randint(0, 130)])
        expected = [each for each in everything if where.matches(each, NOW)]
        assert await roles.queue.count(where, now=NOW) == len(expected)
        expected = expected[::-1] if desc else expected
        inside = [each for each in expected if after is None or (each.seq < after if desc else each.seq > after)]
        found = await roles.queue.list(where, after=after, limit=limit, desc=desc, now=NOW)
        assert found == inside[:limit]


@pytest.mark.parametrize("seed", range(10))
async def test_the_numbers_of_queues_equal_their_records(roles, spec, seed):
    everything = await mixed(roles, spec, random.Random(seed))
    await roles.queue.pause(["a", "empty"])
    expected = []
    for name in ("a", "b", "empty", "stale"):
        views = [(each, each.view(NOW)) for each in everything if each.queue == name]
        states = [view for _, view in views]
        ready = [each.ready_at for each, view in views if view is TaskView.READY]
        expected.append(
            QueueStats(
                name=name,
                paused=name in {"a", "empty"},
                scheduled=states.count(TaskView.SCHEDULED),
                ready=len(ready),
                expired=states.count(TaskView.EXPIRED),
                running=states.count(TaskStatus.RUNNING) + states.count(TaskView.STALE),
                stale=states.count(TaskView.STALE),
                completed=states.count(TaskStatus.COMPLETED),
                failed=states.count(TaskStatus.FAILED),
                cancelled=states.count(TaskStatus.CANCELLED),
                oldest_ready_at=min(ready, default=None),
            )
        )
    assert await roles.queue.queues(now=NOW) == expected


async def test_records_that_were_given_out_do_not_change(roles, spec):
    await roles.queue.enqueue([spec("t")], now=NOW)
    (given,) = await roles.queue.get(["t"])
    (listed,) = await roles.queue.list()
    before = attrs.asdict(given)
    await roles.queue.claim(["default"], 1, "w", 1000, "c", now=NOW)
    assert attrs.asdict(given) == attrs.asdict(listed) == before


async def test_purged_tasks_are_not_listed(roles, spec):
    await roles.queue.enqueue([spec(f"t{number}") for number in range(9)], now=NOW)
    assert len(await roles.queue.list()) == 9
    await roles.queue.cancel(["t3"], now=NOW)
    await roles.queue.purge(TERMINAL, NOW + 1)
    expected = [f"t{number}" for number in range(9) if number != 3]
    assert [each.id for each in await roles.queue.list()] == expected
    assert [each.id for each in await roles.queue.list(desc=True)] == expected[::-1]


async def test_an_empty_queue_is_forgotten_unless_it_is_paused(roles, spec):
    await roles.queue.enqueue([spec("t"), spec("u", queue="paused")], now=NOW)
    await roles.queue.pause(["paused"])
    await roles.queue.cancel(["t", "u"], now=NOW)
    await roles.queue.purge(TERMINAL, NOW + 1)
    assert [each.name for each in await roles.queue.queues()] == ["paused"]
    await roles.queue.resume(["paused", "unknown"])
    assert await roles.queue.queues() == []


async def test_purged_tasks_are_let_go(roles, spec):
    tasks = roles.state.tasks
    for start in range(0, 5000, 100):
        now = NOW + start
        ids = [f"t{number}" for number in range(start, start + 100)]
        await roles.queue.enqueue(
            [spec(task_id, expires_at=now + 10**9, unique_key=task_id) for task_id in ids], now=now
        )
        await roles.queue.list(limit=1)
        await roles.queue.cancel(ids, now=now)
        assert len(await roles.queue.purge(TERMINAL, now + 1)) == 100
    assert (len(tasks.records), len(tasks.holders), len(tasks.queues)) == (0, 0, 0)
    assert (tasks._order, tasks.retention.fresh) == ([], [])


async def test_a_task_that_ended_twice_at_one_time_is_purged_once(roles, spec):
    await roles.queue.enqueue([spec("t")], now=NOW)
    for _ in range(2):
        await roles.queue.cancel(["t"], now=NOW)
        await roles.queue.redrive(["t"], now=NOW)
    await roles.queue.cancel(["t"], now=NOW)
    assert await roles.queue.purge(TERMINAL, NOW + 1) == ["t"]
    assert await roles.queue.purge(TERMINAL, NOW + 1) == []
    assert await roles.queue.count() == 0
