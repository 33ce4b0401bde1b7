"""Uses of the asynchronous API that type checkers accept, with the types that they see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from omniq import AsyncOmniQ, Job, OmniQConfig, RetryPolicy, Settings, Task, TaskResult, TaskStatus, current_task
from omniq.models.event import Event
from omniq.models.schedule import Schedule
from omniq.queue.task import AsyncTaskHandle, TaskCall

app = AsyncOmniQ(Settings(backend="sqlite", base_dir="data"))
others = [AsyncOmniQ(), AsyncOmniQ("tasks.db"), AsyncOmniQ(config=OmniQConfig()), AsyncOmniQ.from_env()]


@app.task
async def fetch(url: str, *, retries: int = 3) -> bytes:
    return f"{url} {retries} {current_task().id}".encode()


def key_of(text: str, times: int) -> str:
    return f"{text}{times}"


@app.task(
    queue="cpu",
    priority=5,
    max_retries=2,
    timeout=timedelta(seconds=30),
    run_in="process",
    retry=RetryPolicy(base_delay=2),
    result_ttl="7d",
    expires_in=60,
    unique_key=key_of,
    headers={"tenant": "a"},
)
def repeat(text: str, times: int) -> str:
    return text * times


@app.task(name="nothing")
async def nothing() -> None: ...


async def produce() -> None:
    here: Coroutine[Any, Any, bytes] = fetch("x", retries=1)
    assert_type(await here, bytes)
    assert_type(repeat("a", 2), str)
    assert_type(repeat(text="a", times=2), str)

    job = await fetch.enqueue("x", retries=1)
    assert_type(job, Job[bytes])
    assert_type(await job.result(timeout=5), bytes)
    assert_type(await (await repeat.enqueue("a", times=2)).result(), str)
    assert_type(await (await nothing.enqueue()).result(), None)

    later = fetch.options(delay=5, queue="slow", task_id="once")
    assert_type(await later.enqueue("x"), Job[bytes])
    assert_type(await repeat.enqueue_many([("a", 1), ("b", 2)]), list[Job[str]])
    assert_type(fetch.call("x"), TaskCall[bytes])
    assert_type(await app.enqueue(fetch.call("x"), eta=datetime.now(UTC)), Job[bytes])
    assert_type(await app.enqueue_many([fetch.call("x"), repeat.call("a", 1)]), list[Job[Any]])
    assert_type(await app.enqueue_many(repeat, [("a", 1)], priority=1), list[Job[str]])

    assert_type(await app.enqueue(repeat, ("a", 2)), Job[str])
    assert_type(await app.enqueue(fetch, ["x"], {"retries": 1}, interval=timedelta(hours=1)), Job[bytes])
    assert_type(await app.enqueue("pkg.mod.func", (1,), timeout=None), Job[Any])
    assert_type(await app.enqueue(len, ("abc",)), Job[int])


def hand_on(task: AsyncTaskHandle[[str], bytes]) -> AsyncTaskHandle[[str], bytes]:
    return task.options(queue="slow")


async def look() -> None:
    task = await app.get_task("task-1")
    assert_type(task, Task)
    assert_type(task.status, TaskStatus)
    assert_type(task.eta, datetime | None)
    assert_type(task["args"], Any)
    assert_type(await app.list_tasks(status=["FAILED", TaskStatus.RUNNING], func=[fetch, "a.b"]), list[Task])
    assert_type(app.iter_tasks(queue={"a", "b"}), AsyncIterator[Task])
    assert_type(await app.get_result(task), TaskResult[Any])
    assert_type(await app.events(task), list[Event])
    async for event in app.tail_events(types="FAILED"):
        assert_type(event, Event)


async def control(job: Job[bytes]) -> None:
    one = await app.cancel(job)
    if one == "cancelled":
        pass
    several = await app.cancel([job, "task-2"])
    for task_id in several:
        assert_type(task_id, str)
    assert_type(list(await app.retry(status="FAILED", since=datetime.now(UTC))), list[str])
    assert_type(await app.purge(older_than=timedelta(days=1)), int)
    schedule = await app.add_schedule("nightly", fetch.call("x"), cron="0 3 * * *", zone="Europe/Berlin", grace="1h")
    assert_type(schedule, Schedule)
    assert_type(await app.next_fire_times("nightly", 3), list[datetime])
    assert_type(await app.run_schedule("nightly"), Job[Any])


async def work() -> None:
    report = await app.worker(queues=["default"], concurrency=10, lease="30s", burst=True).run()
    assert_type(report.completed, int)
    async with app, app.worker() as worker:
        worker.stop()
