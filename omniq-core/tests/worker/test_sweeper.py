"""Embedded upkeep: recovery of idle queues, and retention."""

from __future__ import annotations

import asyncio

import pytest

from omniq.models.config import OmniQConfig
from omniq.models.event import Event, EventType
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.worker import WorkerOptions
from omniq.worker.sweeper import Sweeper


def sweeper(shop, **settings):
    return Sweeper(shop.stores, OmniQConfig(**settings), WorkerOptions())


async def complete(shop, count, **options):
    @shop.task(name="noop")
    async def noop(): ...

    ids = [await shop.enqueue("noop", **options) for _ in range(count)]
    await shop.work(concurrency=50)
    return ids


async def test_ended_tasks_are_removed_after_their_retention(shop):
    ids = await complete(shop, 3)
    keeping = sweeper(shop, task_retention=3600)
    await keeping.sweep()
    assert all(await shop.queue.get(ids))
    await asyncio.sleep(0.01)
    removing = sweeper(shop, task_retention=0)
    await removing.sweep()
    assert await shop.queue.get(ids) == [None, None, None]


async def test_waiting_and_running_tasks_are_never_removed(shop):
    @shop.task
    async def noop(): ...

    waiting = await shop.enqueue(noop, queue="other")
    running = await shop.enqueue(noop)
    await shop.queue.claim(["default"], 1, "w", 60_000, "0123456789abcdef")
    await sweeper(shop, task_retention=0).sweep()
    assert [await shop.state(waiting), await shop.state(running)] == ["PENDING", "RUNNING"]


async def test_pinned_tasks_stay_for_a_day_at_least(shop):
    pinned = await complete(shop, 1, pinned=True)
    await asyncio.sleep(0.01)
    await sweeper(shop, task_retention=0).sweep()
    assert await shop.state(pinned[0]) == "COMPLETED"


async def test_retention_never_keeps_everything(shop):
    ids = await complete(shop, 1)
    await sweeper(shop, task_retention="never", event_retention="never").sweep()
    assert all(await shop.queue.get(ids))
    assert await shop.events(ids[0]) == ["ENQUEUED", "STARTED", "COMPLETED"]


async def test_expired_results_are_removed(shop):
    results = shop.stores.results
    records = [
        ResultRecord(id=f"r{i}", seq=i, epoch=1, status=TaskStatus.COMPLETED, value=b"1", ttl_ms=1) for i in range(5)
    ]
    await results.put(records)
    await asyncio.sleep(0.02)
    await sweeper(shop).sweep()
    assert await results.purge_expired() == 0


async def test_old_events_are_removed(shop):
    events = shop.stores.events
    now = await shop.queue.time()
    old = Event(task_id="a", seq=1, version=1, type=EventType.ENQUEUED, at=now - 10_000)
    new = Event(task_id="a", seq=1, version=2, type=EventType.STARTED, at=now)
    await events.append([old, new])
    await sweeper(shop, event_retention=5).sweep()
    assert [event.version for event in await events.read()] == [2]


async def test_a_pass_is_bounded_and_says_that_there_is_more(memory_shop):
    shop = memory_shop
    calls = []

    async def purge(states, before, limit, *, pinned_before):
        calls.append(limit)
        return ["x"] * limit

    shop.queue.purge = purge
    assert await sweeper(shop, task_retention=0).sweep() is True
    assert len(calls) == 10


async def test_stale_tasks_are_recovered_while_all_slots_are_taken(shop, until):
    gate, started = asyncio.Event(), asyncio.Event()

    @shop.task
    async def wait():
        started.set()
        await gate.wait()

    stale = await shop.enqueue(wait)
    await shop.queue.claim(["default"], 1, "dead", 300, "0123456789abcdef")
    await shop.enqueue(wait, priority=9)
    worker = shop.worker(concurrency=1, sweep=True)
    running = asyncio.ensure_future(worker.run())
    await started.wait()

    async def is_recovered():
        return await shop.state(stale) == "PENDING"

    await until(is_recovered)
    gate.set()
    assert await shop.ended(stale) == ["COMPLETED"]
    worker.stop()
    await running


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_tasks_of_paused_queues_are_recovered_too(open_shop, until, kind):
    shop = await open_shop(kind)

    @shop.task
    async def noop(): ...

    stale = await shop.enqueue(noop)
    await shop.queue.claim(["default"], 1, "dead", 200, "0123456789abcdef")
    await shop.queue.pause(["default"])

    async def is_recovered():
        return await shop.state(stale) == "PENDING"

    async with shop.worker(sweep=True):
        await until(is_recovered)
