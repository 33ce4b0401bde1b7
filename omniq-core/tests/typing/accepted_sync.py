"""Uses of the blocking API that type checkers accept, with the types that they see."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from omniq import OmniQ, OmniQConfig, Settings, SyncJob, Task, TaskResult, TaskStatus
from omniq.backend.sqlite import SQLiteBackend
from omniq.models.event import Event
from omniq.models.schedule import Schedule
from omniq.queue.task import SyncTaskHandle, TaskCall

app = OmniQ(backend=SQLiteBackend())
others = [OmniQ(), OmniQ("tasks.db"), OmniQ(config=OmniQConfig()), OmniQ(Settings()), OmniQ.from_env()]


@app.task
async def fetch(url: str, *, retries: int = 3) -> bytes:
    return f"{url} {retries}".encode()


@app.task(queue="cpu", run_in="process")
def repeat(text: str, times: int) -> str:
    return text * times


def produce() -> None:
    here: Coroutine[Any, Any, bytes] = fetch("x")
    here.close()
    assert_type(repeat("a", 2), str)

    job = fetch.enqueue("x", retries=1)
    assert_type(job, SyncJob[bytes])
    assert_type(job.result(timeout=5), bytes)
    assert_type(repeat.options(delay=5).enqueue("a", times=2).result(), str)
    assert_type(repeat.enqueue_many([("a", 1), {"text": "b", "times": 2}]), list[SyncJob[str]])
    assert_type(repeat.call("a", 1), TaskCall[str])
    assert_type(app.enqueue(repeat.call("a", 1), task_id="once"), SyncJob[str])
    assert_type(app.enqueue_many([fetch.call("x"), repeat.call("a", 1)]), list[SyncJob[Any]])
    assert_type(app.enqueue_many(repeat, (("a", n) for n in range(3))), list[SyncJob[str]])
    assert_type(app.enqueue(fetch, ("x",), interval=timedelta(hours=1)), SyncJob[bytes])
    assert_type(app.enqueue("pkg.mod.func"), SyncJob[Any])
    assert_type(app.enqueue(len, ("abc",)), SyncJob[int])


def hand_on(task: SyncTaskHandle[[str, int], str]) -> SyncTaskHandle[[str, int], str]:
    return task.options(queue="slow")


hand_on(repeat)


def look() -> None:
    task = app.get_task("task-1")
    assert_type(task, Task)
    assert_type(app.list_tasks(status=TaskStatus.FAILED, limit=5, after=task), list[Task])
    assert_type(app.iter_tasks(), Iterator[Task])
    assert_type(app.get_result(task), TaskResult[Any])
    assert_type(app.events(task), list[Event])
    for event in app.tail_events():
        assert_type(event, Event)


def control(job: SyncJob[bytes]) -> None:
    app.cancel(job)
    assert_type(list(app.cancel([job, "task-2"])), list[str])
    assert_type(list(app.retry(queue="mail", until=datetime.now(UTC))), list[str])
    assert_type(app.add_schedule("often", repeat, ("a", 2), interval=timedelta(minutes=5)), Schedule)
    assert_type(app.run_schedule("often"), SyncJob[Any])


def work() -> None:
    assert_type(app.worker(burst=True).run().completed, int)
    with app, app.worker(queues="default") as worker:
        worker.stop(now=True)
