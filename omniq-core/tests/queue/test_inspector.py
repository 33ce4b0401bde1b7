from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from omniq.errors import ConfigError, TaskNotFoundError
from omniq.models.status import TaskStatus, TaskView


def add(a: int, b: int = 0) -> int:
    return a + b


def other() -> None: ...


async def nap(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"


tries: list[int] = []


async def fail_once() -> str:
    tries.append(1)
    if len(tries) == 1:
        msg = "not yet"
        raise ValueError(msg)
    return "at last"


async def run(app) -> None:
    await app.worker(queues=[queue.name for queue in await app.stats()] or ["default"], burst=True).run()


async def test_everything_is_listed_however_much_it_is(app):
    jobs = await app.enqueue_many(add, [(i,) for i in range(2345)])
    tasks = await app.list_tasks()
    assert [task.id for task in tasks] == [job.id for job in jobs]
    assert await app.count_tasks() == 2345


async def test_a_listing_can_be_limited_turned_round_and_continued(app):
    jobs = [job.id for job in await app.enqueue_many(add, [(i,) for i in range(10)])]
    first = await app.list_tasks(limit=4)
    second = await app.list_tasks(limit=4, after=first[-1])
    third = await app.list_tasks(limit=4, after=second[-1].seq)
    assert [task.id for task in [*first, *second, *third]] == jobs
    newest = await app.list_tasks(newest_first=True, limit=3)
    assert [task.id for task in newest] == jobs[:-4:-1]
    older = await app.list_tasks(newest_first=True, after=newest[-1])
    assert [task.id for task in older] == jobs[-4::-1]
    assert await app.list_tasks(limit=0) == []


async def test_a_listing_is_filtered(app):
    first = await app.enqueue(add, queue="mail", unique_key="k")
    second = await app.enqueue(other, delay=3600)
    third = await app.enqueue(add)
    await third.cancel()

    async def listed(**conditions):
        found = [task.id for task in await app.list_tasks(**conditions)]
        assert await app.count_tasks(**conditions) == len(found)
        return found

    assert await listed(status="pending") == [first, second]
    assert await listed(status=TaskView.SCHEDULED) == [second]
    assert await listed(status=["ready", TaskStatus.CANCELLED]) == [first, third]
    assert await listed(queue="mail") == [first]
    assert await listed(func=f"{__name__}.other") == [second]
    assert await listed(unique_key="k") == [first]
    assert await listed(queue="default", status="CANCELLED") == [third]
    assert await listed(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert await listed(until=datetime.now(UTC) + timedelta(hours=1)) == [first, second, third]


async def test_tasks_can_be_read_one_by_one(app):
    jobs = [job.id for job in await app.enqueue_many(add, [(i,) for i in range(1200)])]
    seen = []
    async for task in app.iter_tasks():
        seen.append(task.id)
        if len(seen) == 1100:
            break
    assert seen == jobs[:1100]


@pytest.mark.parametrize("limit", [-1, 1.5, "all", True])
async def test_a_limit_is_a_number(memory, limit):
    with pytest.raises(ConfigError, match=r"limit: .* is not a number of records"):
        await memory.list_tasks(limit=limit)


async def test_a_listing_has_results(app):
    jobs = await app.enqueue_many(add, [(1, 2), (3, 4)])
    await run(app)
    assert [task.result for task in await app.list_tasks()] == [3, 7]
    assert (await app.get_task(jobs[0])).result == 3


async def test_a_task_that_is_not_there(app):
    with pytest.raises(TaskNotFoundError, match="No task has the id"):
        await app.get_task("nobody")
    with pytest.raises(TaskNotFoundError):
        await app.get_result("nobody")
    with pytest.raises(TaskNotFoundError):
        await app.wait_result("nobody", 5)


async def test_an_expired_task_is_reported_as_such_before_anybody_swept(app, until):
    job = await app.enqueue(add, expires_in=0.001)
    await until(lambda: app.count_tasks(status="expired"))
    task = await app.get_task(job)
    assert (task.status, task.view) == (TaskStatus.PENDING, TaskView.EXPIRED)
    assert [task.id for task in await app.list_tasks(status="expired")] == [job.id]
    result = await app.get_result(job)
    assert (result.state.value, result.status, result.error.type) == ("final", TaskStatus.FAILED, "expired")
    assert await job.done()


async def test_a_result_is_pending_and_then_final(app):
    job = await app.enqueue(add, (1, 2))
    pending = await app.get_result(job)
    assert (pending.state.value, pending.status, pending.value) == ("pending", TaskStatus.PENDING, None)
    await run(app)
    final = await app.get_result(job)
    assert (final.state.value, final.status, final.value) == ("final", TaskStatus.COMPLETED, 3)
    assert final.expires_at - final.finished_at == timedelta(days=1)


async def test_a_result_that_is_not_kept_has_expired(app):
    job = await app.enqueue(add, (1, 2), result_ttl=0)
    await run(app)
    assert (await app.get_result(job)).state.value == "expired"
    assert (await app.get_task(job)).result is None


async def test_a_result_outlives_its_task(app):
    job = await app.enqueue(add, (1, 2))
    await run(app)
    assert await app.purge() == 1
    assert (await app.get_result(job)).value == 3
    assert await job.result(1) == 3


async def test_waiting_is_told_and_does_not_ask(app, until):
    async with app.worker():
        job = await app.enqueue(nap, (0.2,))
        await until(lambda: app.count_tasks(status="RUNNING"))
        assert await job.result(5) == "rested"
        told = time.time()
        ended = (await job.task()).completed_at.timestamp()
    assert told - ended < 0.1


async def test_many_wait_at_once(app):
    jobs = await app.enqueue_many(add, [(i, 1) for i in range(500)])
    waits = [asyncio.ensure_future(job.result(20)) for job in jobs]
    await run(app)
    assert await asyncio.gather(*waits) == [i + 1 for i in range(500)]


async def test_the_events_of_a_task_in_order(app):
    await app.enqueue(other)
    job = await app.enqueue(add, (1,))
    await run(app)
    events = await app.events(job)
    assert [event.type.value for event in events] == ["ENQUEUED", "STARTED", "COMPLETED"]
    assert {event.task_id for event in events} == {job.id}
    assert [event.version for event in events] == [1, 2, 3]


async def test_events_are_filtered_and_paged(app):
    await app.enqueue_many(add, [(i,) for i in range(10)], queue="mail")
    await app.enqueue(other)
    await run(app)
    everything = await app.events()
    assert len(everything) == 33
    assert {event.queue for event in await app.events(queue="mail")} == {"mail"}
    assert len(await app.events(types=["enqueued", "COMPLETED"])) == 22
    page = await app.events(limit=7)
    rest = await app.events(after=page[-1].position)
    assert [event.event_id for event in [*page, *rest]] == [event.event_id for event in everything]
    assert [event.event_id for event in await app.events(newest_first=True, limit=2)] == [
        event.event_id for event in everything[:-3:-1]
    ]
    assert await app.events(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(await app.events(until=datetime.now(UTC) + timedelta(hours=1))) == 33


async def test_an_unknown_event_type_is_refused(memory):
    with pytest.raises(ConfigError, match=r"types: 'complete' is unknown. Did you mean COMPLETED\?"):
        await memory.events(types="complete")


async def test_events_can_be_followed(app):
    async def follow(count, after):
        seen = []
        async for event in app.tail_events(types=["ENQUEUED"], after=after):
            seen.append(event.task_id)
            if len(seen) == count:
                break
        return seen

    await app.enqueue(other)
    following = asyncio.ensure_future(follow(3, (await app.events())[-1].position))
    jobs = [await app.enqueue(add, (i,)) for i in range(3)]
    assert await asyncio.wait_for(following, 10) == [job.id for job in jobs]


async def test_stats_count_each_queue(app):
    await app.enqueue_many(add, [(1,), (2,)], queue="mail")
    await app.enqueue(add, delay=3600)
    await app.pause("mail")
    stats = {queue.name: queue for queue in await app.stats()}
    assert (stats["mail"].ready, stats["mail"].paused, stats["default"].scheduled) == (2, True, 1)


async def test_a_task_that_is_retried_while_its_end_is_told_is_waited_for_again(memory, monkeypatch):
    job = await memory.enqueue(fail_once, max_retries=0)
    await run(memory)
    waiter = (await memory._connection()).waiter
    wait = waiter.wait

    async def retried_meanwhile(*arguments):
        status = await wait(*arguments)
        monkeypatch.undo()
        assert await memory.retry(job) == "ok"
        return status

    monkeypatch.setattr(waiter, "wait", retried_meanwhile)
    with pytest.raises(TimeoutError):
        await memory.wait_result(job, 0.05)
    monkeypatch.setattr(waiter, "wait", wait)
    await run(memory)
    assert await memory.wait_result(job, 5) == "at last"
