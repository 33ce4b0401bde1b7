from __future__ import annotations

import asyncio
import threading

import pytest

from omniq import AsyncOmniQ, RetryPolicy, TaskStatus, current_task, hookimpl
from omniq.errors import ConfigError, StoreClosedError
from omniq.queue.task import AsyncCoroutineTask, AsyncFunctionTask


def add(a: int, b: int = 0) -> int:
    return a + b


async def add_later(a: int, b: int = 0) -> int:
    return a + b


class Closings:
    """Counts how often an application's stores are opened and closed."""

    def __init__(self, app: AsyncOmniQ) -> None:
        self.opened = self.closed = 0
        open_stores = app._access.lifespans._connect

        async def connect():
            connection = await open_stores()
            self.opened += 1
            close_stores = connection.close

            async def close():
                self.closed += 1
                await close_stores()

            connection.close = close
            return connection

        app._access.lifespans._connect = connect


# Life


def test_it_is_made_without_an_event_loop_and_connects_at_first_use(store):
    app = AsyncOmniQ(store)
    counts = Closings(app)
    with pytest.raises(StoreClosedError, match=r"await app\.connect\(\)"):
        _ = app.stores

    async def use() -> None:
        assert counts.opened == 0
        assert await app.count_tasks() == 0
        assert app.stores is await app.connect()
        await app.close()

    asyncio.run(use())
    assert (counts.opened, counts.closed) == (1, 1)


async def test_first_uses_at_the_same_time_connect_once(store):
    app = AsyncOmniQ(store)
    counts = Closings(app)
    await asyncio.gather(*(app.enqueue(add, (i,)) for i in range(50)))
    assert counts.opened == 1
    await app.close()


async def test_a_block_connects_and_closes(store):
    app = AsyncOmniQ(store)
    counts = Closings(app)
    async with app as entered:
        assert entered is app
        assert counts.opened == 1
    assert counts.closed == 1
    with pytest.raises(StoreClosedError):
        _ = app.stores
    await app.close()
    assert counts.closed == 1


async def test_it_can_be_used_again_after_closing(store):
    app = AsyncOmniQ(store)
    for expected in (1, 2):
        async with app:
            await app.enqueue(add)
            assert await app.count_tasks() == expected


def test_a_second_event_loop_opens_the_stores_anew(store):
    app = AsyncOmniQ(store)
    counts = Closings(app)

    async def use() -> int:
        await app.enqueue(add)
        return await app.count_tasks()

    assert [asyncio.run(use()) for _ in range(3)] == [1, 2, 3]
    assert (counts.opened, counts.closed) == (3, 3)


def test_the_stores_are_closed_with_the_loop_though_nobody_closed_them(store):
    app = AsyncOmniQ(store)
    counts = Closings(app)

    async def fail() -> None:
        await app.enqueue(add)
        raise KeyError("on the way")

    with pytest.raises(KeyError, match="on the way"):
        asyncio.run(fail())
    assert (counts.opened, counts.closed) == (1, 1)


def test_several_loops_may_use_it_at_the_same_time(store):
    app = AsyncOmniQ(store)
    barrier = threading.Barrier(3)

    async def use() -> None:
        await app.connect()
        await asyncio.to_thread(barrier.wait)
        await asyncio.gather(*(app.enqueue(add, (i,)) for i in range(20)))
        await app.close()

    threads = [threading.Thread(target=asyncio.run, args=(use(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def count() -> int:
        return await app.count_tasks()

    assert asyncio.run(count()) == 60


async def test_a_failed_connection_is_tried_again(store, monkeypatch):
    app = AsyncOmniQ(store)
    connect = app._access.lifespans._connect

    async def fail():
        raise StoreClosedError("not now")

    monkeypatch.setattr(app._access.lifespans, "_connect", fail)
    with pytest.raises(StoreClosedError, match="not now"):
        await app.enqueue(add)
    monkeypatch.setattr(app._access.lifespans, "_connect", connect)
    assert (await app.enqueue(add)).created
    await app.close()


async def test_closing_writes_what_is_being_enqueued(store):
    app = AsyncOmniQ(store)
    await app.connect()
    calls = [asyncio.ensure_future(app.enqueue(add, (i,))) for i in range(100)]
    await asyncio.sleep(0)
    await app.close()
    jobs = await asyncio.gather(*calls)
    async with app:
        assert {task.id for task in await app.list_tasks()} == {job.id for job in jobs}


# Tasks


async def test_a_task_is_still_a_function():
    app = AsyncOmniQ("memory://")
    plain, later = app.task(name="plain")(add), app.task(name="later")(add_later)
    assert plain(1, b=2) == 3
    assert await later(1, b=2) == 3
    assert (type(plain), type(later)) == (AsyncFunctionTask, AsyncCoroutineTask)
    assert (plain.__name__, plain.__wrapped__, plain.name, repr(plain)) == ("add", add, "plain", "<task plain>")


def test_a_task_is_registered_with_its_options():
    app = AsyncOmniQ("memory://")
    task = app.task(queue="mail", priority=3, timeout=9, run_in="process", retry=RetryPolicy(max_retries=7))(add)
    definition = app.registry.resolve(f"{__name__}.add")
    assert definition is task.definition
    options = definition.options
    assert (options.queue, options.priority, options.timeout_ms, options.max_retries) == ("mail", 3, 9000, 7)
    assert (definition.run_in, definition.retry.max_retries, options.result_ttl_ms) == ("process", 7, 86_400_000)


def test_max_retries_overrules_the_policy():
    app = AsyncOmniQ("memory://")
    task = app.task(max_retries=1, retry=RetryPolicy(max_retries=7))(add)
    assert task.definition.options.max_retries == 1


def test_a_task_can_be_decorated_twice_under_two_names():
    app = AsyncOmniQ("memory://")
    again = app.task(name="b")(app.task(name="a")(add))
    assert again.__wrapped__ is add
    assert app.registry.names() == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "func", "message"),
    [
        ({"priority": 10}, add, "priority: 10 is not a priority"),
        ({"queu": "mail"}, add, "Did you mean 'queue'"),
        ({"task_id": "x"}, add, "task_id: 'x' is of one call, not of a task"),
        ({"connection": 7}, add, "connection: 7 is of one call, not of a task"),
        ({"name": ""}, add, "name: '' is not a name of a task"),
        ({"run_in": "gpu"}, add, "run_in: 'gpu'"),
        ({"run_in": "thread"}, add_later, "is a coroutine function"),
        ({}, lambda: None, "is a lambda"),
        ({}, "add", "@app.task: 'add' is not a function"),
    ],
)
def test_what_is_no_task_is_refused(options, func, message):
    app = AsyncOmniQ("memory://")
    with pytest.raises(ConfigError, match=message):
        app.task(**options)(func)
    assert len(app.registry) == 0


def test_a_nested_function_can_be_a_task_if_it_has_a_name():
    app = AsyncOmniQ("memory://")

    @app.task(name="nested")
    def nested() -> None: ...

    assert nested.name == "nested"


def test_options_of_a_call_leave_the_task_alone():
    app = AsyncOmniQ("memory://")
    task = app.task(name="add", queue="mail")(add)
    other = task.options(queue="web", delay=5)
    assert type(other) is type(task)
    assert (other.definition.options.queue, other.definition.options.delay_ms, other.name) == ("web", 5000, "add")
    assert (task.definition.options.queue, task.definition.options.delay_ms) == ("mail", None)
    assert app.registry.resolve("add") is task.definition
    with pytest.raises(ConfigError, match="priority: 99"):
        task.options(priority=99)


async def test_a_task_is_enqueued_and_runs(store):
    app = AsyncOmniQ(store)
    plain, later = app.task(name="plain")(add), app.task(name="later")(add_later)
    async with app:
        jobs = [await plain.enqueue(1, b=2), await later.options(task_id="mine").enqueue(3, 4)]
        assert jobs[1] == "mine"
        await app.worker(burst=True).run()
        assert [await job.result(5) for job in jobs] == [3, 7]


async def test_modules_of_the_own_package_may_run():
    app = AsyncOmniQ("memory://")
    assert app.registry.allowed_modules == {__name__.partition(".")[0]}
    async with app:
        job = await app.enqueue(add, (1, 2))
        forged = await app.enqueue("os.system", ("true",))
        await app.worker(burst=True).run()
        assert await job.result(5) == 3
        task = await app.get_task(forged)
        assert task.status is TaskStatus.FAILED
        assert "os.system" in task.error


def test_more_modules_come_from_the_configuration():
    app = AsyncOmniQ.from_env({"OMNIQ_ALLOWED_MODULES": "shop.jobs,tools", "OMNIQ_BACKEND": "memory"})
    assert app.registry.allowed_modules >= {"shop.jobs", "tools"}


# Workers


async def test_a_worker_takes_its_options():
    app = AsyncOmniQ("memory://")
    worker = app.worker(
        queues=["a", "b"],
        concurrency=3,
        processes=1,
        burst=True,
        lease="10s",
        heartbeat=1,
        shutdown_timeout=0,
        kill_grace=2.5,
        max_tasks=5,
        scheduler=False,
        sweep=False,
        name="w",
    )
    options = worker.options
    assert (options.queues, options.concurrency, options.processes, options.burst) == (("a", "b"), 3, 1, True)
    assert (options.lease_ms, options.heartbeat_ms, options.shutdown_timeout_ms, options.kill_grace_ms) == (
        10_000,
        1000,
        0,
        2500,
    )
    assert (options.max_tasks, options.scheduler, options.sweep, options.name) == (5, False, False, "w")
    assert app.worker().options.queues == ("default",)


@pytest.mark.parametrize(
    ("option", "message"), [({"lease": "soon"}, "lease: 'soon'"), ({"kill_grace": "never"}, "no end")]
)
def test_an_invalid_worker_option_is_refused(option, message):
    with pytest.raises(ConfigError, match=message):
        AsyncOmniQ("memory://").worker(**option)


async def test_a_task_can_enqueue_another(store):
    app = AsyncOmniQ(store)
    child = app.task(name="child")(add)

    @app.task(name="parent")
    async def parent() -> str:
        job = await child.enqueue(1, 2)
        return f"{current_task().id} {job}"

    async with app, app.worker():
        job = await parent.enqueue()
        own, other = (await job.result(10)).split()
        assert own == job.id
        assert await app.wait_result(other, 10) == 3


# Plugins


async def test_a_plugin_sees_tasks_before_they_are_enqueued():
    class Stamp:
        @hookimpl
        def omniq_before_enqueue(self, spec, app):
            spec.body.headers["stamped"] = "yes"
            if spec.queue == "forbidden":
                raise PermissionError("not there")

    class Later:
        @hookimpl
        async def omniq_before_enqueue(self, spec):
            await asyncio.sleep(0)
            spec.priority = 8

    app = AsyncOmniQ("memory://")
    app._access.plugins.register(Stamp())
    app._access.plugins.register(Later())
    async with app:
        jobs = [await app.enqueue(add), *await app.enqueue_many(add, [(1,), (2,)], headers={"tenant": "a"})]
        tasks = [await app.get_task(job) for job in jobs]
        assert [task.priority for task in tasks] == [8, 8, 8]
        assert [task.headers for task in tasks] == [
            {"stamped": "yes"},
            {"stamped": "yes", "tenant": "a"},
            {"stamped": "yes", "tenant": "a"},
        ]
        with pytest.raises(PermissionError, match="not there"):
            await app.enqueue(add, queue="forbidden")
        assert await app.count_tasks() == 3
