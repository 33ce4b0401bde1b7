"""What is claimed, when, and what happens when the store cannot be reached."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from omniq.errors import ConnectionLostError, OutcomeUnknownError, StorageError


def on(queue, name, around):
    """Replace a method of a queue; `around` gets the original."""
    original = getattr(queue, name)

    async def replacement(*args, **kwargs):
        return await around(original, *args, **kwargs)

    setattr(queue, name, replacement)


async def test_a_claim_never_asks_for_more_than_the_free_slots(shop):
    running, asked = 0, []

    async def note(claim, queues, limit, *rest):
        asked.append((limit, running))
        return await claim(queues, limit, *rest)

    on(shop.queue, "claim", note)

    @shop.task
    async def nap(seconds):
        nonlocal running
        running += 1
        await asyncio.sleep(seconds)
        running -= 1

    for i in range(40):
        await shop.enqueue(nap, 0.001 * (i % 7))
    report = await shop.work(concurrency=5)
    assert report.completed == 40
    assert max(limit + busy for limit, busy in asked) == 5
    assert min(limit for limit, _ in asked) >= 1


async def test_a_claim_never_asks_for_more_than_a_hundred(memory_shop):
    asked = []

    async def note(claim, queues, limit, *rest):
        asked.append(limit)
        return await claim(queues, limit, *rest)

    on(memory_shop.queue, "claim", note)

    @memory_shop.task
    async def noop(): ...

    await memory_shop.enqueue(noop)
    await memory_shop.work(concurrency=500)
    assert set(asked) == {100}


async def test_free_slots_are_filled_while_others_are_still_taken(shop):
    order, gate = [], asyncio.Event()

    @shop.task
    async def wait():
        order.append("waits")
        await gate.wait()

    @shop.task
    async def note(i):
        order.append(i)
        if i == 3:
            gate.set()

    await shop.enqueue(wait, priority=9)
    for i in range(4):
        await shop.enqueue(note, i)
    await shop.work(concurrency=2)
    assert order == ["waits", 0, 1, 2, 3]


async def test_an_idle_worker_does_not_poll(shop):
    calls = []

    async def note(claim, *args):
        calls.append(args)
        return await claim(*args)

    on(shop.queue, "claim", note)
    async with shop.worker():
        await asyncio.sleep(0.5)
    assert len(calls) <= 3


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_an_idle_worker_starts_a_task_at_once(open_shop, kind):
    shop = await open_shop(kind)
    times = []

    @shop.task
    async def mark(sent_at):
        times.append(time.monotonic() - sent_at)

    async with shop.worker():
        await asyncio.sleep(0.05)
        for _ in range(20):
            await shop.ended(await shop.enqueue(mark, time.monotonic()))
    assert sorted(times)[10] < 0.05


async def test_a_delayed_task_starts_when_its_time_comes(shop):
    started = []

    @shop.task
    async def mark():
        started.append(await shop.queue.time())

    eta = await shop.queue.time() + 300
    task_id = await shop.enqueue(mark, eta=eta)
    async with shop.worker():
        await shop.ended(task_id)
    assert 0 <= started[0] - eta < 250


async def test_a_lost_claim_reply_is_looked_up(shop):
    attempts, failures = [], [1, 1, 1]

    async def lose_the_reply(claim, *args):
        grants = await claim(*args)
        if grants and failures:
            failures.pop()
            raise OutcomeUnknownError("the reply was lost")
        return grants

    async def fail_too(held, *args):
        if len(failures) > 1:
            failures.pop()
            raise ConnectionLostError("still down")
        return await held(*args)

    on(shop.queue, "claim", lose_the_reply)
    on(shop.queue, "held", fail_too)

    @shop.task
    async def note(i):
        attempts.append(i)

    ids = [await shop.enqueue(note, i) for i in range(5)]
    report = await shop.work(lease_ms=60_000)
    assert (report.completed, attempts) == (5, [0, 1, 2, 3, 4])
    assert [(await shop.head(task_id)).attempts for task_id in ids] == [1] * 5


@pytest.mark.parametrize("error", [ConnectionLostError("down"), StorageError("disk full")])
async def test_an_unreachable_store_is_tried_for_ever_and_logged_once(memory_shop, caplog, until, error):
    shop = memory_shop
    failures = []

    async def fail(claim, *args):
        if len(failures) < 4:
            failures.append(True)
            raise error
        return await claim(*args)

    on(shop.queue, "claim", fail)

    @shop.task
    async def noop(): ...

    task_id = await shop.enqueue(noop)
    async with shop.worker() as worker:
        await until(lambda: worker.health().state == "unreachable")
        assert await shop.ended(task_id) == ["COMPLETED"]
    messages = [record.getMessage() for record in caplog.records if record.name == "omniq.worker.claiming"]
    assert len(messages) == 2
    assert messages[0].startswith("claiming tasks: the store fails")
    assert messages[1].startswith("claiming tasks: the store works again")


async def test_stopping_does_not_wait_for_an_unreachable_store(memory_shop, until):
    async def fail(claim, *args):
        raise ConnectionLostError("down")

    on(memory_shop.queue, "claim", fail)
    worker = memory_shop.worker()
    running = asyncio.ensure_future(worker.run())
    await until(lambda: worker.health().state == "unreachable")
    worker.stop()
    report = await asyncio.wait_for(running, 5)
    assert report.claimed == 0


async def test_a_settling_whose_reply_was_lost_is_repeated(shop):
    failures = [1, 1]

    async def lose_the_reply(complete, items):
        replies = await complete(items)
        if failures:
            failures.pop()
            raise OutcomeUnknownError("the reply was lost")
        return replies

    async def lose_too(fail, items):
        replies = await fail(items)
        if len(failures) == 1:
            failures.pop()
            raise OutcomeUnknownError("the reply was lost")
        return replies

    on(shop.queue, "complete", lose_the_reply)
    on(shop.queue, "fail", lose_too)

    @shop.task
    async def good():
        return 1

    @shop.task
    async def bad():
        raise ValueError

    ids = [await shop.enqueue(good), await shop.enqueue(bad, max_attempts=1)]
    report = await shop.work()
    assert (report.completed, report.failed, report.lost) == (1, 1, 0)
    assert [await shop.state(task_id) for task_id in ids] == ["COMPLETED", "FAILED"]


async def test_one_outcome_that_the_store_refuses_does_not_take_the_others_with_it(shop, caplog):
    async def refuse(complete, items):
        if any(item.id == "t2" for item in items):
            raise StorageError("cannot store this one")
        return await complete(items)

    on(shop.queue, "complete", refuse)

    @shop.task
    async def noop(): ...

    for _ in range(3):
        await shop.enqueue(noop)
    worker = shop.worker()
    running = asyncio.ensure_future(worker.run())
    assert await shop.ended("t1", "t3") == ["COMPLETED", "COMPLETED"]
    worker.stop()
    report = await asyncio.wait_for(running, 10)
    assert (report.completed, report.lost) == (2, 1)
    assert "was refused by the store" in caplog.text


async def test_an_outcome_that_cannot_be_recorded_within_its_lease_is_given_up(memory_shop, caplog):
    shop = memory_shop

    async def down(complete, items):
        raise ConnectionLostError("down")

    on(shop.queue, "complete", down)

    @shop.task
    async def noop(): ...

    await shop.enqueue(noop)
    worker = shop.worker(lease_ms=300)
    running = asyncio.ensure_future(worker.run())
    started = time.monotonic()
    while worker.report.lost == 0:
        assert time.monotonic() - started < 10
        await asyncio.sleep(0.01)
    worker.stop()
    await asyncio.wait_for(running, 10)
    assert "could not be recorded within its lease" in caplog.text


async def test_a_fault_inside_the_worker_is_raised_after_handing_back(memory_shop, caplog):
    shop = memory_shop
    started = asyncio.Event()

    @shop.task
    async def long():
        started.set()
        await asyncio.sleep(60)

    async def break_down(claim, *args):
        if started.is_set():
            raise ZeroDivisionError("a bug")
        return await claim(*args)

    on(shop.queue, "claim", break_down)
    task_id = await shop.enqueue(long)
    worker = shop.worker(shutdown_timeout_ms=10)
    running = asyncio.ensure_future(worker.run())
    await started.wait()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        await asyncio.wait_for(running, 10)
    assert await shop.state(task_id) == "PENDING"
    assert "the worker's claiming loop failed" in caplog.text


async def test_two_workers_share_the_work_and_run_nothing_twice(shop):
    ran, lock = [], threading.Lock()

    @shop.task
    def note(i):
        with lock:
            ran.append(i)

    ids = [await shop.enqueue(note, i) for i in range(60)]
    async with shop.worker(concurrency=3), shop.worker(concurrency=3):
        await shop.ended(*ids)
    assert sorted(ran) == list(range(60))


async def test_burst_waits_for_what_other_workers_run(shop):
    started, go_on = asyncio.Event(), asyncio.Event()

    @shop.task
    async def wait():
        started.set()
        await go_on.wait()

    await shop.enqueue(wait)
    async with shop.worker():
        await started.wait()
        bursting = asyncio.ensure_future(shop.work())
        await asyncio.sleep(0.1)
        assert not bursting.done()
        go_on.set()
        await bursting


async def test_burst_does_not_wait_for_paused_queues_or_the_future(shop):
    @shop.task
    async def noop(): ...

    await shop.enqueue(noop, queue="paused")
    await shop.queue.pause(["paused"])
    await shop.enqueue(noop, eta=await shop.queue.time() + 60_000)
    report = await shop.work(queues=("default", "paused"))
    assert report.claimed == 0
