"""Coroutine tasks on the worker's loop, and what becomes of their outcomes."""

from __future__ import annotations

import asyncio
import sys

import pytest

from omniq.retry import DoNotRetry, RetryLater, RetryPolicy, Snooze
from omniq.worker import current_task

NEVER = RetryPolicy.none()


async def test_the_result_is_stored_and_every_step_has_an_event(shop):
    @shop.task
    async def add(a, b):
        return a + b

    first, second = await shop.enqueue(add, 1, 2), await shop.enqueue(add, 3, kwargs={"b": 4})
    report = await shop.work()
    assert (report.claimed, report.completed, report.failed) == (2, 2, 0)
    assert [await shop.value(first), await shop.value(second)] == [3, 7]
    assert [await shop.state(first), await shop.state(second)] == ["COMPLETED", "COMPLETED"]
    assert await shop.events(first) == ["ENQUEUED", "STARTED", "COMPLETED"]


async def test_tasks_run_side_by_side_up_to_the_concurrency(shop):
    running, most = 0, 0

    @shop.task
    async def nap():
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    for _ in range(12):
        await shop.enqueue(nap)
    report = await shop.work(concurrency=3)
    assert (report.completed, most) == (12, 3)


async def test_a_failure_is_tried_again_and_then_kept_with_its_traceback(shop):
    attempts = []

    @shop.task
    async def flaky():
        attempts.append(current_task().attempt)
        raise ValueError("boom")

    task_id = await shop.enqueue(flaky, max_attempts=3)
    async with shop.worker():
        assert await shop.ended(task_id) == ["FAILED"]
    assert attempts == [1, 2, 3]
    error = await shop.error(task_id)
    assert (error.type, error.message) == ("ValueError", "boom")
    assert 'raise ValueError("boom")' in error.traceback
    assert "omniq/worker" not in error.traceback
    assert (await shop.head(task_id)).error == "ValueError: boom"
    assert await shop.events(task_id) == [
        "ENQUEUED",
        *("STARTED", "RETRYING", "STARTED", "RETRYING", "STARTED"),
        "FAILED",
    ]


async def test_the_policy_decides_when_the_next_attempt_is(shop):
    @shop.task(retry=RetryPolicy(delays=[40, 90]))
    async def flaky():
        raise ValueError

    task_id = await shop.enqueue(flaky)
    before = await shop.queue.time()
    report = await shop.work()
    head = await shop.head(task_id)
    assert (str(head.state), report.retried) == ("PENDING", 1)
    assert 40_000 <= head.ready_at - before < 45_000


async def test_the_policy_decides_which_errors_are_tried_again(shop):
    @shop.task(retry=RetryPolicy(base_delay=0, retry_on=(OSError,), never_on=(PermissionError,)))
    async def fail(kind):
        raise {"os": OSError, "permission": PermissionError, "value": ValueError}[kind]

    ids = [await shop.enqueue(fail, kind, max_attempts=2) for kind in ("os", "permission", "value")]
    async with shop.worker():
        await shop.ended(*ids)
    assert [(await shop.head(task_id)).attempts for task_id in ids] == [2, 1, 1]


async def test_a_task_can_decide_for_itself(shop):
    @shop.task
    async def decide(what):
        if current_task().attempt == 1:
            raise {"later": RetryLater(30, "busy"), "never": DoNotRetry("bad input"), "snooze": Snooze(60)}[what]

    later, never, snooze = [await shop.enqueue(decide, what) for what in ("later", "never", "snooze")]
    before = await shop.queue.time()
    report = await shop.work()
    assert (report.retried, report.failed, report.released) == (1, 1, 1)
    heads = [await shop.head(task_id) for task_id in (later, never, snooze)]
    assert [str(head.state) for head in heads] == ["PENDING", "FAILED", "PENDING"]
    assert [head.attempts for head in heads] == [1, 1, 0]
    assert 30_000 <= heads[0].ready_at - before < 35_000
    assert 60_000 <= heads[2].ready_at - before < 65_000
    assert heads[1].error == "omniq.retry.DoNotRetry: bad input"


async def test_a_timeout_cancels_the_coroutine_and_fails_the_attempt(shop):
    cleaned_up = []

    @shop.task
    async def slow():
        try:
            await asyncio.sleep(30)
        finally:
            cleaned_up.append(True)

    task_id = await shop.enqueue(slow, max_attempts=1, body={"timeout_ms": 50})
    report = await shop.work()
    assert (report.failed, report.recycle, cleaned_up) == (1, False, [True])
    error = await shop.error(task_id)
    assert (error.type, error.message) == ("TimeoutError", "the task ran longer than its timeout of 0.05 s")


async def test_a_value_that_comes_after_the_timeout_does_not_count(shop):
    @shop.task
    async def stubborn():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "too late"

    task_id = await shop.enqueue(stubborn, max_attempts=1, body={"timeout_ms": 30})
    await shop.work()
    assert (await shop.error(task_id)).type == "TimeoutError"


async def test_a_coroutine_that_ignores_its_timeout_is_given_up_and_the_worker_recycles(shop):
    release = asyncio.Event()

    @shop.task
    async def deaf():
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task_id = await shop.enqueue(deaf, max_attempts=1, body={"timeout_ms": 20})
    report = await asyncio.wait_for(shop.worker(kill_grace_ms=50).run(), 10)
    release.set()
    assert (report.recycle, report.failed) == (True, 1)
    assert task_id in report.recycle_reason
    assert (await shop.error(task_id)).type == "TimeoutError"


async def test_short_tasks_with_long_timeouts_leave_nothing_behind(memory_shop):
    shop = memory_shop

    @shop.task
    async def short():
        await asyncio.sleep(0)

    for _ in range(50):
        await shop.enqueue(short, body={"timeout_ms": 3_600_000})
    worker = shop.worker(burst=True)
    await worker.run()
    assert (worker.report.completed, len(worker._executor._deadlines), worker._roster.held) == (50, 0, {})


async def test_a_result_that_cannot_be_serialized_fails_the_task_saying_why(shop):
    @shop.task
    async def odd():
        return {"when": object()}

    task_id = await shop.enqueue(odd)
    report = await shop.work()
    assert report.failed == 1
    error = await shop.error(task_id)
    assert error.type == "result not serializable"
    assert "['when']" in error.message


async def test_arguments_that_cannot_be_decoded_fail_the_task(shop):
    @shop.task
    async def fine(): ...

    ids = [
        await shop.enqueue(fine, body={"args": b"{broken"}),
        await shop.enqueue(fine, body={"codec": "nonesuch"}),
        await shop.enqueue(fine, body={"args": b'{"a": 1}'}),
    ]
    report = await shop.work()
    assert report.failed == 3
    assert [(await shop.error(task_id)).type for task_id in ids] == [
        "omniq.errors.SerializationError",
        "omniq.errors.ConfigError",
        "omniq.errors.SerializationError",
    ]


async def test_arguments_that_do_not_fit_the_function_are_not_tried_again(shop):
    @shop.task
    async def one(a):
        return a

    @shop.task
    async def inside():
        return one()

    wrong, deeper = await shop.enqueue(one, 1, 2), await shop.enqueue(inside)
    async with shop.worker():
        assert await shop.ended(wrong, deeper) == ["FAILED", "FAILED"]
    assert "takes 1 positional argument but 2 were given" in (await shop.error(wrong)).message
    assert [(await shop.head(task_id)).attempts for task_id in (wrong, deeper)] == [1, 4]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
async def test_what_would_end_a_program_only_fails_the_task(shop, error):
    @shop.task
    async def bad(seconds):
        await asyncio.sleep(seconds)
        raise error

    @shop.task
    async def good():
        return "fine"

    ids = [await shop.enqueue(bad, 0.001), await shop.enqueue(bad, 0), await shop.enqueue(good)]
    await shop.work()
    assert [await shop.state(task_id) for task_id in ids] == ["FAILED", "FAILED", "COMPLETED"]
    assert (await shop.error(ids[0])).type.endswith(type(error).__name__)


async def test_the_context_tells_about_the_run(shop):
    seen = []

    @shop.task
    async def look():
        context = current_task()
        await asyncio.sleep(0)
        assert current_task().id == context.id
        seen.append(
            (context.id, context.func, context.queue, context.attempt, context.max_attempts, dict(context.headers))
        )
        seen.append((context.idempotency_key, context.fencing_token, context.is_cancelled))
        if context.attempt == 1:
            raise ValueError

    task_id = await shop.enqueue(look, body={"headers": {"trace": "abc"}}, max_attempts=2)
    async with shop.worker():
        await shop.ended(task_id)
    assert seen[0] == (task_id, "look", "default", 1, 2, {"trace": "abc"})
    assert seen[2] == (task_id, "look", "default", 2, 2, {"trace": "abc"})
    (first_key, first_fence, cancelled), (second_key, second_fence, _) = seen[1], seen[3]
    assert (first_key == second_key, first_fence < second_fence, cancelled) == (True, True, False)


async def test_current_task_outside_of_a_task_says_so(memory_shop):
    with pytest.raises(LookupError, match="outside of a task"):
        current_task()

    @memory_shop.task
    async def noop(): ...

    await memory_shop.enqueue(noop)
    await memory_shop.work()
    with pytest.raises(LookupError, match="outside of a task"):
        current_task()


async def test_a_progress_note_is_logged_with_the_task(memory_shop, caplog):
    @memory_shop.task
    async def report():
        current_task().progress("half way")

    caplog.set_level("INFO", "omniq")
    task_id = await memory_shop.enqueue(report)
    await memory_shop.work()
    (record,) = [record for record in caplog.records if "half way" in record.getMessage()]
    assert (record.task_id, record.queue, record.attempt, record.func) == (task_id, "default", 1, "report")


async def test_a_plain_function_can_run_on_the_loop(memory_shop):
    @memory_shop.task(run_in="loop")
    def quick(x):
        return asyncio.get_running_loop() is not None and x

    task_id = await memory_shop.enqueue(quick, 5)
    await memory_shop.work()
    assert await memory_shop.value(task_id) == 5


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_a_task_that_does_not_wait_finishes_within_the_claim(memory_shop):
    order = []

    @memory_shop.task
    async def note(i):
        order.append(i)

    for i in range(3):
        await memory_shop.enqueue(note, i)
    await memory_shop.work()
    assert order == [0, 1, 2]


async def test_max_tasks_recycles_after_draining(shop):
    @shop.task
    async def noop(): ...

    for _ in range(5):
        await shop.enqueue(noop)
    report = await asyncio.wait_for(shop.worker(max_tasks=3, concurrency=2).run(), 10)
    assert (report.claimed, report.completed, report.recycle) == (3, 3, True)
    assert report.recycle_reason == "max_tasks of 3 reached"


async def test_only_the_named_queues_are_worked_and_priorities_decide(shop):
    order = []

    @shop.task
    async def note(x):
        order.append(x)

    await shop.enqueue(note, "low", queue="a")
    await shop.enqueue(note, "high", queue="b", priority=9)
    other = await shop.enqueue(note, "other", queue="c")
    await shop.work(queues=("a", "b"), concurrency=1)
    assert order == ["high", "low"]
    assert await shop.state(other) == "PENDING"
