from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from omniq import OmniQ, TaskStatus
from omniq.errors import ConfigError, StoreClosedError, SyncInAsyncError, TaskFailedError
from omniq.queue.job import SyncJob
from omniq.queue.task import SyncCoroutineTask, SyncFunctionTask


def add(a: int = 0, b: int = 0) -> int:
    return a + b


async def add_later(a: int, b: int = 0) -> int:
    return a + b


def fail() -> None:
    raise ValueError("no")


@pytest.fixture
def app(store):
    with OmniQ(store) as app:
        yield app


def portals() -> int:
    return sum(thread.name == "omniq-portal" for thread in threading.enumerate())


# Producing and reading


def test_a_task_is_enqueued_and_runs(app):
    plain, later = app.task(name="plain")(add), app.task(name="later")(add_later)
    assert (type(plain), type(later), plain(1, 2)) == (SyncFunctionTask, SyncCoroutineTask, 3)
    jobs = [plain.enqueue(1, 2), later.options(task_id="mine").enqueue(3, b=4)]
    assert [type(job) for job in jobs] == [SyncJob, SyncJob]
    report = app.worker(burst=True).run()
    assert report.completed == 2
    assert [job.result(5) for job in jobs] == [3, 7]
    assert [(job.status(), job.done()) for job in jobs] == [(TaskStatus.COMPLETED, True)] * 2


def test_every_method_of_a_job_blocks(app):
    job = app.enqueue(add, (1, 2))
    assert (job.task().args, job.cancel(), job.retry(), len(job.events())) == ([1, 2], "cancelled", "ok", 3)
    with pytest.raises(TimeoutError):
        job.result(0.01)


def test_many(app):
    jobs = app.enqueue_many(add, ((i, 1) for i in range(1500)))
    assert [task.id for task in app.list_tasks()] == [job.id for job in jobs]
    assert [task.args for task in app.iter_tasks(limit=3)] == [[0, 1], [1, 1], [2, 1]]
    assert len(list(app.iter_tasks())) == app.count_tasks() == 1500
    task = app.task(name="add")(add)
    assert len(task.enqueue_many([(1,), (2,)])) == 2
    assert len(app.enqueue_many([task.call(1), task.call(2)])) == 2


def test_a_generator_of_the_caller_runs_in_its_thread(app):
    threads = []

    def calls():
        threads.append(threading.current_thread())
        yield (1,)

    app.enqueue_many(add, calls())
    task = app.task(name="add")(add)

    def prepared():
        threads.append(threading.current_thread())
        yield task.call(1)

    app.enqueue_many(prepared())
    assert threads == [threading.current_thread()] * 2


def test_errors_are_raised_as_they_are(app):
    with pytest.raises(ConfigError, match="priority: 10"):
        app.enqueue(add, priority=10)
    job = app.enqueue(fail, max_retries=0)
    app.worker(burst=True).run()
    with pytest.raises(TaskFailedError, match="ValueError: no"):
        job.result(5)


def test_control(app):
    jobs = [app.enqueue(add, queue="mail") for _ in range(3)]
    assert app.cancel(jobs[0]) == "cancelled"
    assert app.cancel(queue="mail") == {jobs[1].id: "cancelled", jobs[2].id: "cancelled"}
    assert app.retry(status="CANCELLED") == {job.id: "ok" for job in jobs}
    app.pause("mail")
    assert [(queue.name, queue.paused, queue.ready) for queue in app.stats()] == [("mail", True, 3)]
    app.resume("mail")
    app.worker(queues="mail", burst=True).run()
    assert app.purge() == 3


def test_results_and_events(app):
    job = app.enqueue(add, (1, 2))
    assert app.get_result(job).state.value == "pending"
    app.worker(burst=True).run()
    assert (app.get_result(job).value, app.wait_result(job, 5)) == (3, 3)
    assert [event.type.value for event in app.events(job)] == ["ENQUEUED", "STARTED", "COMPLETED"]


def test_events_can_be_followed(app):
    first = app.enqueue(add)
    position = app.events()[-1].position
    second = app.enqueue(add)
    following = app.tail_events(after=position)
    assert next(following).task_id == second.id
    following.close()
    assert first.created


def test_schedules(app):
    far = datetime(2100, 1, 1, tzinfo=UTC)
    app.add_schedule("s", add, (1, 2), interval=timedelta(hours=1), at=far)
    assert [schedule.id for schedule in app.list_schedules()] == ["s"]
    assert app.next_fire_times("s", 2) == [far, far + timedelta(hours=1)]
    assert (app.pause_schedule("s").paused, app.resume_schedule("s").paused) == (True, False)
    job = app.run_schedule("s")
    assert (type(job), app.get_schedule("s").runs) == (SyncJob, 0)
    assert app.delete_schedule("s") is True


# Threads and loops


def test_any_thread_may_use_it(app):
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda i: app.enqueue(add, (i,)), range(100)))
    assert {task.id for task in app.list_tasks()} == {job.id for job in jobs}
    assert portals() == 1


def test_inside_a_running_loop_it_says_what_to_do(app):
    async def wrong() -> None:
        app.count_tasks()

    with pytest.raises(SyncInAsyncError, match=r"OmniQ.count_tasks\(\) blocks.*Use AsyncOmniQ.*asyncio.to_thread"):
        asyncio.run(wrong())

    async def wrong_worker() -> None:
        app.worker().run()

    with pytest.raises(SyncInAsyncError, match="running event loop"):
        asyncio.run(wrong_worker())


async def test_in_a_thread_beside_a_running_loop_it_works(store):
    app = OmniQ(store)
    assert await asyncio.to_thread(app.count_tasks) == 0
    await asyncio.to_thread(app.close)


def test_a_task_in_a_thread_can_enqueue_another(app):
    child = app.task(name="child")(add)

    @app.task(name="parent")
    def parent() -> str:
        return str(child.enqueue(1, 2))

    with app.worker():
        assert app.wait_result(parent.enqueue().result(10), 10) == 3


# Life


def test_it_connects_at_first_use_and_closes(store):
    before = portals()
    app = OmniQ(store)
    assert portals() == before
    app.enqueue(add)
    assert portals() == before + 1
    assert app.stores is app.connect()
    app.close()
    assert portals() == before
    with pytest.raises(StoreClosedError):
        _ = app.stores
    app.close()
    assert app.count_tasks() == 1
    app.close()


def test_an_application_that_nobody_holds_ends_its_thread(store):
    before = set(threading.enumerate())
    app = OmniQ(store)
    app.enqueue(add)
    (portal,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "omniq-portal")
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None
    portal.join(10)
    assert not portal.is_alive()


def test_closing_during_a_call_of_another_thread_ends_that_call(store):
    app = OmniQ(store)
    job = app.enqueue(add)
    outcomes = []

    def wait() -> None:
        try:
            job.result()
        except StoreClosedError as error:
            outcomes.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    app.close()
    thread.join(10)
    assert not thread.is_alive()
    # The wait may have begun only after the close, which is a use that connects again.
    assert outcomes in (["The application was closed by another thread during this call."], [])
    app.close()


def test_a_worker_beside_the_program(app):
    with app.worker(queues=["default"], name="beside") as worker:
        assert app.enqueue(add, (1, 2)).result(10) == 3
        assert (worker.options.name, worker.health().name) == ("beside", "beside")
    assert worker.report.completed == 1


def test_a_worker_can_be_stopped_from_another_thread(app):
    worker = app.worker()
    timer = threading.Timer(0.2, worker.stop)
    timer.start()
    assert worker.run().claimed == 0


def test_a_failure_of_the_worker_is_raised_where_the_block_ends(app, monkeypatch):
    worker = app.worker()

    async def fail() -> None:
        raise OSError("no disk")

    monkeypatch.setattr(worker._worker, "run", fail)
    with pytest.raises(OSError, match="no disk"), worker:
        pass


# Forks

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_the_child_of_a_fork_has_connections_of_its_own(tmp_path):
    with OmniQ(tmp_path / "omniq.db") as app:
        before = app.enqueue(add, (1, 2))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert app.count_tasks() == 1
                app.enqueue(add, (3, 4), task_id="from-the-child")
                app.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        after = app.enqueue(add, (5, 6))
        assert [task.id for task in app.list_tasks()] == [before.id, "from-the-child", after.id]
