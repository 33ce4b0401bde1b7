"""Plain functions in threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

from omniq.worker import current_task

request_id = contextvars.ContextVar("request_id", default="none")


async def test_a_plain_function_runs_in_a_thread_with_its_context(shop):
    @shop.task
    def where(a, *, b):
        return [threading.current_thread() is threading.main_thread(), current_task().id, a + b]

    task_id = await shop.enqueue(where, 1, kwargs={"b": 2})
    await shop.work()
    assert await shop.value(task_id) == [False, task_id, 3]


async def test_a_context_variable_does_not_leak_into_the_next_task(shop):
    seen = []

    @shop.task
    def leaky():
        seen.append(request_id.get())
        request_id.set("leaked")

    for _ in range(3):
        await shop.enqueue(leaky)
    await shop.work(concurrency=1)
    assert seen == ["none", "none", "none"]


async def test_threads_run_side_by_side_up_to_the_concurrency(memory_shop):
    barrier = threading.Barrier(4, timeout=10)

    @memory_shop.task
    def meet():
        barrier.wait()

    for _ in range(8):
        await memory_shop.enqueue(meet)
    report = await memory_shop.work(concurrency=4)
    assert report.completed == 8


async def test_errors_and_exits_in_threads_fail_the_task(shop):
    @shop.task
    def bad(kind):
        raise {"value": ValueError("boom"), "exit": SystemExit(2)}[kind]

    ids = [await shop.enqueue(bad, kind, max_attempts=1) for kind in ("value", "exit")]
    report = await shop.work()
    assert report.failed == 2
    assert [(await shop.error(task_id)).type for task_id in ids] == ["ValueError", "SystemExit"]
    assert "omniq/worker" not in (await shop.error(ids[0])).traceback


async def test_arguments_that_do_not_fit_are_not_tried_again(shop):
    @shop.task
    def one(a):
        return a

    task_id = await shop.enqueue(one)
    report = await shop.work()
    assert (report.failed, report.retried) == (1, 0)
    assert (await shop.error(task_id)).type == "TypeError"


async def test_a_thread_that_ends_after_its_timeout_has_failed_and_kept_its_slot(shop):
    inside, release = threading.Event(), threading.Event()
    others = []

    @shop.task
    def slow():
        inside.set()
        while not current_task().is_cancelled:
            time.sleep(0.002)
        assert current_task().why_cancelled == "timeout"
        release.wait(10)
        return "too late"

    @shop.task
    def other():
        others.append(release.is_set())

    slow_id = await shop.enqueue(slow, max_attempts=1, body={"timeout_ms": 30}, priority=9)
    await shop.enqueue(other)
    running = asyncio.ensure_future(shop.work(concurrency=1, kill_grace_ms=20_000))
    await asyncio.to_thread(inside.wait, 10)
    await asyncio.sleep(0.1)
    assert (await shop.state(slow_id), others) == ("RUNNING", [])
    release.set()
    report = await running
    assert (report.failed, report.completed, report.recycle, others) == (1, 1, False, [True])
    assert (await shop.error(slow_id)).type == "TimeoutError"


async def test_a_thread_that_never_ends_fails_after_the_grace_and_the_worker_recycles(shop):
    release = threading.Event()

    @shop.task
    def stuck():
        release.wait(30)

    @shop.task
    async def fine():
        await asyncio.sleep(0.2)

    stuck_id = await shop.enqueue(stuck, max_attempts=1, body={"timeout_ms": 30})
    fine_id = await shop.enqueue(fine)
    report = await asyncio.wait_for(shop.worker(kill_grace_ms=50).run(), 10)
    release.set()
    assert (report.recycle, report.failed, report.completed) == (True, 1, 1)
    assert [await shop.state(task_id) for task_id in (stuck_id, fine_id)] == ["FAILED", "COMPLETED"]
    assert "stuck did not end after its timeout" in report.recycle_reason


async def test_many_small_functions_all_come_back(memory_shop):
    @memory_shop.task
    def square(x):
        return x * x

    ids = [await memory_shop.enqueue(square, i) for i in range(500)]
    report = await memory_shop.work(concurrency=8)
    assert report.completed == 500
    assert [await memory_shop.value(task_id) for task_id in ids] == [i * i for i in range(500)]
