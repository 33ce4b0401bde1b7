from __future__ import annotations

import asyncio
import threading
import time

import pytest

from omniq.models.record import Completion, Failure, Release
from omniq.models.status import TERMINAL, TaskStatus

LONG = 30.0


async def sleeping(awaitable, *boards):
    """Start the awaitable and return its task once it sleeps on each of the boards."""
    task = asyncio.ensure_future(awaitable)
    while not all(board.waiting for board in boards):
        await asyncio.sleep(0)
        assert not task.done(), task.result()
    return task


async def grant(queue, limit=1, lease=30_000):
    return await queue.claim(["default"], limit, "w", lease, "c")


async def test_wait_returns_at_once_if_work_is_ready(roles, spec):
    await roles.queue.enqueue([spec("t")])
    await asyncio.wait_for(roles.queue.wait(["default"], LONG), 5)


async def test_wait_sleeps_through_work_of_other_and_of_paused_queues(roles, spec):
    await roles.queue.pause(["default"])
    await roles.queue.enqueue([spec("t"), spec("u", queue="other")])
    started = time.monotonic()
    await roles.queue.wait(["default"], 0.05)
    assert time.monotonic() - started >= 0.05


async def test_wait_ends_when_a_delayed_task_becomes_ready(roles, spec):
    await roles.queue.enqueue([spec("t", eta=await roles.queue.time() + 40)])
    await asyncio.wait_for(roles.queue.wait(["default"], LONG), 5)
    assert [each.id for each in await grant(roles.queue)] == ["t"]


async def test_wait_ends_when_a_lease_runs_out(roles, spec):
    await roles.queue.enqueue([spec("t")])
    await grant(roles.queue, lease=40)
    await asyncio.wait_for(roles.queue.wait(["default"], LONG), 5)
    assert [each.attempt for each in await grant(roles.queue)] == [2]


async def enqueue(roles, _, spec):
    await roles.queue.enqueue([spec("new")])


async def enqueue_delayed(roles, _, spec):
    await roles.queue.enqueue([spec("new", eta=await roles.queue.time() + LONG * 1000)])


async def retry(roles, held, _):
    await roles.queue.fail([Failure(held.id, held.token, "boom", retry_at=0)])


async def release(roles, held, _):
    await roles.queue.release([Release(held.id, held.token, 0)])


async def redrive(roles, *_):
    await roles.queue.redrive(["ended"])


async def resume(roles, *_):
    await roles.queue.resume(["default"])


async def follow(roles, held, _):
    await roles.queue.complete([Completion(held.id, held.token)])


async def sibling(roles, _, spec):
    async with roles.queue.sibling() as other:
        await other.enqueue([spec("new")])


@pytest.mark.parametrize(
    "cause",
    [enqueue, enqueue_delayed, retry, release, redrive, resume, follow, sibling],
    ids=lambda each: each.__name__,
)
async def test_whatever_lowers_next_at_wakes_an_idle_waiter(roles, spec, cause):
    await roles.queue.enqueue([spec("ended"), spec("held", interval_ms=60_000, max_attempts=9)])
    ended, held = await grant(roles.queue, 2)
    await roles.queue.fail([Failure(ended.id, ended.token, "boom")])
    waiter = await sleeping(roles.queue.wait(["default"], LONG), roles.state.tasks.work)
    await cause(roles, held, spec)
    await asyncio.wait_for(waiter, 5)
    assert roles.state.tasks.work.waiting == {}


async def test_every_waiter_of_every_handle_is_woken_from_another_thread(roles, spec, until_waiting):
    async with roles.queue.sibling() as other:
        waiters = [await sleeping(roles.queue.wait(["x", "default"], LONG), roles.state.tasks.work)]
        waiters.append(asyncio.ensure_future(other.wait(["default", "y"], LONG)))
        await until_waiting(roles.state.tasks.work, "default", 2)
        thread = threading.Thread(target=asyncio.run, args=(enqueue(roles, None, spec),))
        thread.start()
        await asyncio.wait_for(asyncio.gather(*waiters), 5)
        thread.join()
    assert roles.state.tasks.work.waiting == {}


async def test_a_waiter_whose_loop_is_gone_hurts_nobody(roles, spec):
    loop = asyncio.new_event_loop()

    async def abandon():
        asyncio.ensure_future(roles.queue.wait(["default"], LONG))  # noqa: RUF006
        await asyncio.sleep(0)

    coroutine = abandon()
    thread = threading.Thread(target=loop.run_until_complete, args=(coroutine,))
    thread.start()
    thread.join()
    left = asyncio.all_tasks(loop)
    loop.close()
    await roles.queue.enqueue([spec("t")])
    assert [each.id for each in await grant(roles.queue)] == ["t"]
    for task in left:
        task._log_destroy_pending = False


async def test_cancelling_a_wait_leaves_nothing_behind(roles):
    waiter = await sleeping(roles.queue.wait(["default"], LONG), roles.state.tasks.work)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert (roles.state.tasks.work.waiting, roles.queue._waiters) == ({}, set())


async def test_close_ends_the_waits_of_its_own_handle(roles, spec):
    await roles.queue.enqueue([spec("t", queue="other")])
    async with roles.queue.sibling() as other:
        waiting = await sleeping(other.wait(["default"], LONG), roles.state.tasks.work)
        for_end = await sleeping(other.wait_done(["t"], LONG), roles.state.tasks.done)
        mine = asyncio.ensure_future(roles.queue.wait(["default"], LONG))
        await asyncio.sleep(0)
        await other.close()
        assert [await asyncio.wait_for(each, 5) for each in (waiting, for_end)] == [None, {}]
        assert not mine.done()
        mine.cancel()


# The end of tasks


async def test_wait_done_tells_ended_expired_and_unknown_tasks_apart(roles, spec):
    now = await roles.queue.time()
    await roles.queue.enqueue([spec("expired", expires_at=now - 1), spec("gone"), spec("waits")])
    await roles.queue.cancel(["gone"])
    assert await roles.queue.wait_done(["expired", "gone", "waits", "unknown"], LONG) == {
        "expired": TaskStatus.FAILED,
        "gone": TaskStatus.CANCELLED,
        "unknown": None,
    }


async def test_wait_done_returns_nothing_when_time_runs_out(roles, spec):
    await roles.queue.enqueue([spec("t")])
    assert await roles.queue.wait_done(["t"], 0.02) == {}
    assert await roles.queue.wait_done([], LONG) == {}


async def end_by_complete(roles, held):
    await roles.queue.complete([Completion(held.id, held.token)])


async def end_by_fail(roles, held):
    await roles.queue.fail([Failure(held.id, held.token, "boom")])


async def end_by_recover(roles, held):
    await roles.queue.recover(["default"], now=held.lease_until)


async def end_by_release(roles, held):
    await roles.queue.cancel([held.id])
    await roles.queue.release([Release(held.id, held.token, 0)])


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (end_by_complete, "COMPLETED"),
        (end_by_fail, "FAILED"),
        (end_by_recover, "FAILED"),
        (end_by_release, "CANCELLED"),
    ],
)
async def test_the_end_of_a_task_is_pushed(roles, spec, end, status):
    await roles.queue.enqueue([spec("t", max_attempts=1), spec("other")])
    (held,) = await grant(roles.queue)
    waiter = await sleeping(roles.queue.wait_done(["other", "t"], LONG), roles.state.tasks.done)
    await end(roles, held)
    assert await asyncio.wait_for(waiter, 5) == {"t": TaskStatus(status)}
    assert roles.state.tasks.done.waiting == {}


async def test_wait_done_minds_the_expiry_of_a_waiting_task(roles, spec):
    await roles.queue.enqueue([spec("t", expires_at=await roles.queue.time() + 40)])
    assert await asyncio.wait_for(roles.queue.wait_done(["t"], LONG), 5) == {"t": TaskStatus.FAILED}
    assert [record.state for record in await roles.queue.get(["t"])] == [TaskStatus.PENDING]


async def test_wait_done_minds_the_expiry_of_a_task_that_comes_back_from_its_run(roles, clock, spec):
    now = clock.now()
    await roles.queue.enqueue([spec("t", expires_at=now + 10)])
    (held,) = await grant(roles.queue)
    clock.advance(milliseconds=20)
    waiter = await sleeping(roles.queue.wait_done(["t"], LONG), roles.state.tasks.done)
    await roles.queue.fail([Failure(held.id, held.token, "boom", retry_at=now)])
    assert await asyncio.wait_for(waiter, 5) == {"t": TaskStatus.FAILED}


async def test_a_purged_task_is_unknown(roles, spec):
    await roles.queue.enqueue([spec("t")])
    await roles.queue.cancel(["t"])
    assert await roles.queue.purge(TERMINAL, await roles.queue.time() + 1) == ["t"]
    assert await roles.queue.wait_done(["t"], LONG) == {"t": None}
