from __future__ import annotations

import json

import pytest

from omniq import AsyncOmniQ
from omniq.errors import ConfigError, TaskFailedError, TaskNotFoundError
from omniq.models.status import TaskStatus
from omniq.queue.job import Job, SyncJob, id_of

APP = AsyncOmniQ("memory://")


@APP.task
async def double(x: int) -> int:
    return 2 * x


@APP.task(max_retries=0)
async def explode() -> None:
    raise ValueError("boom")


@pytest.fixture
async def app():
    async with APP:
        yield APP


def test_a_job_is_its_id_wherever_text_is_wanted():
    job = Job("task-1", APP)
    assert (str(job), f"{job}", f"{job:>8}", "%s" % job) == ("task-1", "task-1", "  task-1", "task-1")  # noqa: UP031
    assert json.dumps({"job": str(job)}) == '{"job": "task-1"}'


def test_jobs_compare_and_hash_by_id():
    job = Job("task-1", APP)
    assert job == Job("task-1", APP, created=False) == "task-1"
    assert job != Job("task-2", APP)
    assert job != 1
    assert {job: "a"}["task-1"] == "a"
    assert SyncJob("task-1", None) == job


def test_the_repr_tells_whether_it_is_new():
    assert repr(Job("task-1", APP)) == "<Job task-1>"
    assert repr(SyncJob("task-1", None, created=False)) == "<SyncJob task-1 (existed)>"


@pytest.mark.parametrize("task", [None, "", 5, object(), {"id": "x"}])
def test_what_names_no_task_is_refused(task):
    with pytest.raises(ConfigError, match=r"names no task\. Give an id, a Job or a Task"):
        id_of(task)


async def test_a_job_tells_how_its_task_is(app):
    job = await double.enqueue(4)
    assert (await job.status(), await job.done()) == (TaskStatus.PENDING, False)
    assert (await job.task()).args == [4]
    await app.worker(burst=True).run()
    assert (await job.status(), await job.done(), await job.result(1)) == (TaskStatus.COMPLETED, True, 8)
    assert [event.type.value for event in await job.events()] == ["ENQUEUED", "STARTED", "COMPLETED"]


async def test_a_job_is_accepted_wherever_an_id_is(app):
    job = await double.enqueue(4)
    task = await app.get_task(job)
    assert {(await app.get_task(name)).id for name in (job, job.id, task)} == {job.id}
    assert await app.cancel(job) == "cancelled"
    assert await app.retry([job]) == {job.id: "ok"}


async def test_a_job_can_be_cancelled_and_retried(app):
    job = await double.enqueue(4)
    assert await job.cancel() == "cancelled"
    assert await job.retry() == "ok"
    await app.worker(burst=True).run()
    assert await job.result(1) == 8


async def test_a_failed_job_raises_with_the_remote_traceback(app):
    job = await explode.enqueue()
    await app.worker(burst=True).run()
    with pytest.raises(TaskFailedError) as caught:
        await job.result(1)
    assert (caught.value.error_type, caught.value.error_message) == ("ValueError", "boom")
    assert 'raise ValueError("boom")' in caught.value.traceback


async def test_a_job_of_a_purged_task_is_not_found(app):
    job = await explode.enqueue()
    await job.cancel()
    await app.purge(results=True)
    with pytest.raises(TaskNotFoundError):
        await job.result(1)
    with pytest.raises(TaskNotFoundError):
        await job.status()


async def test_waiting_has_a_deadline(app):
    job = await double.enqueue(4)
    with pytest.raises(TimeoutError, match=rf"Task {job.id} has not ended within 0.01 s"):
        await job.result(0.01)
