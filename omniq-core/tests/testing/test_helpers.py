from __future__ import annotations

import pytest

from omniq import AsyncOmniQ, ConfigError, OmniQ, OmniQConfig, TaskStatus
from omniq.testing import assert_enqueued, drain, in_memory, memory_app, run_until_idle

APP = AsyncOmniQ("never/opened.db")
SYNC_APP = OmniQ("never/opened.db")


@APP.task(queue="mail")
async def send(to: str, *, urgent: bool = False) -> str:
    return f"sent to {to}"


@APP.task
def send_all(*people: str) -> None: ...


@APP.task(name="start")
async def start() -> None:
    await send.enqueue("a")
    await send.options(queue="other").enqueue("b")


@SYNC_APP.task(queue="mail")
def count(numbers: list[int]) -> int:
    return sum(numbers)


def test_a_memory_app_is_of_the_wanted_kind():
    assert type(memory_app()) is AsyncOmniQ
    assert type(memory_app(OmniQ)) is OmniQ


async def test_a_memory_app_shares_nothing_and_keeps_its_settings(monkeypatch):
    monkeypatch.setenv("OMNIQ_TASK_QUEUE_TYPE", "sqlite")
    first = memory_app(config=OmniQConfig(default_queue="web"))
    second = memory_app()
    async with first, second:
        await first.enqueue("a.b")
        assert (await first.list_tasks())[0].queue == "web"
        assert await second.count_tasks() == 0


async def test_run_until_idle_runs_everything_and_what_that_enqueues():
    async with in_memory(APP):
        job = await start.enqueue()
        late = await send.options(delay=3600).enqueue("c")
        assert await run_until_idle(APP) == 3
        assert await job.status() is TaskStatus.COMPLETED
        assert await late.status() is TaskStatus.PENDING
        assert [task.result for task in await APP.list_tasks(func=send, status="COMPLETED")] == [
            "sent to a",
            "sent to b",
        ]
        assert await run_until_idle(APP) == 0


async def test_run_until_idle_leaves_paused_queues_alone():
    async with in_memory(APP):
        await send.enqueue("a")
        await APP.pause("mail")
        assert await run_until_idle(APP) == 0


def test_drain_does_the_same_for_programs_that_block():
    with in_memory(SYNC_APP):
        job = count.enqueue([1, 2, 3])
        assert drain(SYNC_APP) == 1
        assert job.result(1) == 6
        assert drain(SYNC_APP) == 0


async def test_each_block_has_stores_of_its_own_and_the_former_ones_come_back(tmp_path):
    async with AsyncOmniQ(tmp_path / "own.db") as app:
        await app.enqueue("a.b")
        for _ in range(2):
            async with in_memory(app) as entered:
                assert entered is app
                assert app.config.task_queue_backend.backend_type == "memory"
                assert await app.count_tasks() == 0
                await app.enqueue("a.b")
        assert app.config.task_queue_backend.backend_type == "sqlite"
        assert await app.count_tasks() == 1


def test_the_former_stores_come_back_in_programs_that_block(tmp_path):
    with OmniQ(tmp_path / "own.db") as app:
        app.enqueue("a.b")
        with in_memory(app) as entered:
            assert entered is app
            assert app.count_tasks() == 0
        assert app.count_tasks() == 1


async def test_what_was_enqueued_can_be_asserted():
    async with in_memory(APP):
        job = await send.enqueue("a", urgent=True)
        await send.enqueue("b")
        tasks = await APP.list_tasks()
    assert [task.id for task in assert_enqueued(tasks, send, args=["a"])] == [job.id]
    assert [task.id for task in assert_enqueued(tasks, send, kwargs={"urgent": True}, queue="mail", priority=0)] == [
        job.id
    ]
    assert len(assert_enqueued(tasks, send, count=2)) == 2
    assert len(assert_enqueued(tasks, f"{__name__}.send")) == 2
    assert len(assert_enqueued(tasks, send.__wrapped__)) == 2
    assert assert_enqueued(tasks, send_all, count=0) == []


async def test_a_failed_assertion_says_what_is_there_and_how_it_differs():
    async with in_memory(APP):
        job = await send.enqueue("a")
        tasks = await APP.list_tasks()
    with pytest.raises(AssertionError) as caught:
        assert_enqueued(tasks, send, args=["b"], queue="web")
    assert str(caught.value) == (
        f"func_path='{__name__}.send', queue='web', args=['b'] was to be enqueued at least once, and was 0 times. "
        f"There are 1 tasks:\n  {job.id}: queue is 'mail', not 'web'; args is ['a'], not ['b']"
    )
    with pytest.raises(AssertionError, match="was to be enqueued 2 times, and was 1 times"):
        assert_enqueued(tasks, send, count=2)


async def test_a_failed_assertion_is_not_endless():
    async with in_memory(APP):
        await send.enqueue_many([(str(i),) for i in range(15)])
        tasks = await APP.list_tasks()
    with pytest.raises(AssertionError, match=r"and 5 more$"):
        assert_enqueued(tasks, send_all)


def test_an_unknown_field_is_refused():
    with pytest.raises(ConfigError, match=r"prioriti: unknown key. Did you mean 'priority'\?"):
        assert_enqueued([], send, prioriti=5)


def test_arguments_are_serialized_so_that_sharing_them_shows():
    with in_memory(SYNC_APP):
        numbers = [1, 2]
        job = count.enqueue(numbers)
        numbers.append(1000)
        drain(SYNC_APP)
        assert job.result(1) == 3
