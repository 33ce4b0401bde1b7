from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from omniq.errors import ConfigError
from omniq.models.status import TaskStatus


def add(a: int = 0, b: int = 0) -> int:
    return a + b


def fail() -> None:
    raise ValueError("no")


async def run(app, **options) -> None:
    await app.worker(burst=True, **options).run()


async def test_a_waiting_task_is_cancelled_at_once(app):
    job = await app.enqueue(add)
    assert await app.cancel(job) == "cancelled"
    assert await app.cancel(job) == "finished"
    assert await app.cancel("nobody") == "missing"
    assert (await app.get_task(job)).status is TaskStatus.CANCELLED


async def test_several_are_cancelled_by_id(app):
    jobs = await app.enqueue_many(add, [(1,), (2,)])
    replies = await app.cancel([jobs[0], jobs[1].id, "nobody", jobs[0]])
    assert replies == {jobs[0].id: "cancelled", jobs[1].id: "cancelled", "nobody": "missing"}


async def test_several_are_cancelled_by_condition(app):
    mail = await app.enqueue_many(add, [(1,), (2,)], queue="mail")
    kept = await app.enqueue(add)
    assert await app.cancel(queue="mail") == {job.id: "cancelled" for job in mail}
    assert await app.cancel(queue="mail") == {}
    assert (await app.get_task(kept)).status is TaskStatus.PENDING


async def test_thousands_are_cancelled_by_condition(memory):
    jobs = await memory.enqueue_many(add, [(i,) for i in range(2500)])
    assert await memory.cancel(status="PENDING") == {job.id: "cancelled" for job in jobs}


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_it_has_to_be_said_which_tasks(memory, verb):
    job = await memory.enqueue(add)
    act = getattr(memory, verb)
    with pytest.raises(ConfigError, match=rf"{verb}\(\): it is not said which tasks"):
        await act()
    with pytest.raises(ConfigError, match="it is not said which tasks"):
        await act(queue=None)
    with pytest.raises(ConfigError, match=rf"{verb}\(\): both tasks and conditions"):
        await act(job, queue="default")
    with pytest.raises(ConfigError, match="names no task"):
        await act([5])
    assert (await job.status()) is TaskStatus.PENDING


async def test_a_running_task_is_asked_to_stop(app, until):
    app.registry.allow("asyncio")
    async with app.worker(heartbeat=0.05):
        job = await app.enqueue("asyncio.sleep", (30,))
        await until(lambda: app.count_tasks(status="RUNNING"))
        assert await job.cancel() == "requested"
        await until(job.done)
    assert (await job.status()) is TaskStatus.CANCELLED


async def test_a_failed_task_is_put_back(app):
    job = await app.enqueue(fail, max_retries=0)
    await run(app)
    assert await app.retry(job) == "ok"
    assert await app.retry(job) == "invalid"
    assert await app.retry("nobody") == "missing"
    task = await app.get_task(job)
    assert (task.status, task.attempts) == (TaskStatus.PENDING, 0)


async def test_failed_tasks_are_put_back_by_condition(app):
    failed = await app.enqueue_many(fail, [()] * 3, max_retries=0, queue="a")
    elsewhere = await app.enqueue(fail, max_retries=0, queue="b")
    cancelled = await app.enqueue(fail, queue="c")
    await cancelled.cancel()
    await run(app, queues=["a", "b"])
    assert await app.retry(queue="a") == {job.id: "ok" for job in failed}
    assert await app.retry(status=["failed", "cancelled"]) == {elsewhere.id: "ok", cancelled.id: "ok"}


async def test_a_task_whose_key_is_taken_is_not_put_back(app):
    first = await app.enqueue(add, unique_key="k")
    await first.cancel()
    await app.enqueue(add, unique_key="k")
    assert await first.retry() == "conflict"


async def test_ended_tasks_are_purged(app):
    done = await app.enqueue(add)
    failed = await app.enqueue(fail, max_retries=0)
    await run(app)
    waiting = await app.enqueue(add)
    assert await app.purge(status="FAILED") == 1
    assert await app.purge(older_than=timedelta(hours=1)) == 0
    assert await app.purge(older_than="never") == 0
    assert await app.purge() == 1
    assert [task.id for task in await app.list_tasks()] == [waiting.id]
    assert (await app.get_result(done)).value == 0
    del failed


async def test_results_can_be_purged_too(app):
    job = await app.enqueue(add)
    await run(app)
    assert await app.purge(results=True) == 1
    assert await app.stores.results.get([job.id]) == [None]


async def test_an_id_of_the_caller_is_kept_to_recognise_a_repeat(app):
    await app.enqueue(add, task_id="order-7")
    await run(app)
    assert await app.purge() == 0
    assert not (await app.enqueue(add, task_id="order-7")).created
    assert await app.purge(pinned=True) == 1


async def test_thousands_are_purged(memory):
    await memory.enqueue_many(add, [(i,) for i in range(2500)])
    await memory.cancel(status="PENDING")
    await memory.stores.task_queue.outbox_ack(await memory.stores.task_queue.outbox(10_000))
    assert await memory.purge() == 2500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"status": "PENDING"}, "'PENDING' is not an end"),
        ({"status": "gone"}, "status: 'gone' is unknown"),
        ({"older_than": "soon"}, "older_than: 'soon' is not a duration"),
    ],
)
async def test_a_purge_that_makes_no_sense_is_refused(memory, options, message):
    with pytest.raises(ConfigError, match=message):
        await memory.purge(**options)


async def test_a_paused_queue_accepts_and_waits(app):
    await app.pause(["mail", "web"])
    job = await app.enqueue(add, queue="mail")
    await run(app, queues=["mail"])
    assert (await job.status()) is TaskStatus.PENDING
    await app.resume("mail")
    await run(app, queues=["mail"])
    assert (await job.status()) is TaskStatus.COMPLETED
    assert {queue.name: queue.paused for queue in await app.stats()} == {"mail": False, "web": True}


async def test_a_queue_needs_a_name(memory):
    with pytest.raises(ConfigError, match="queues: '' names nothing"):
        await memory.pause("")


# Series


async def series(app, runs: int):
    """Enqueue a repeated task, let it run, and return the job and its live run."""
    job = await app.enqueue(add, interval=timedelta(milliseconds=50))
    while await app.count_tasks(series_id=job.id, status="COMPLETED") < runs:
        await run(app)
        await asyncio.sleep(0.01)
    (live,) = await app.list_tasks(series_id=job.id, status=["PENDING", "RUNNING"])
    return job, live


async def test_a_series_goes_on_with_the_same_interval(app):
    job, live = await series(app, 2)
    assert live.id != job.id
    assert (live.series_id, live.interval) == (job.id, timedelta(milliseconds=50))


async def test_a_series_is_cancelled_through_its_first_run(app):
    job, live = await series(app, 1)
    assert await job.cancel() == "cancelled"
    assert (await app.get_task(live)).status is TaskStatus.CANCELLED
    assert await app.count_tasks(series_id=job.id, status=["PENDING", "RUNNING"]) == 0
    assert await job.cancel() == "finished"


async def test_a_series_is_cancelled_through_an_ended_run(app):
    job, live = await series(app, 2)
    runs = await app.list_tasks(series_id=job.id, status="COMPLETED")
    assert await app.cancel([runs[-1]]) == {runs[-1].id: "cancelled"}
    assert (await app.get_task(live)).status is TaskStatus.CANCELLED


async def test_a_series_is_cancelled_though_its_first_run_was_purged(app):
    job, live = await series(app, 1)
    await app.purge()
    assert await job.cancel() == "cancelled"
    assert (await app.get_task(live)).status is TaskStatus.CANCELLED
