"""Roles that do not share the queue's transactions: results first, events from the outbox."""

from __future__ import annotations

import asyncio
import time

import attrs
import pytest

from omniq.errors import ConnectionLostError, LimitExceededError
from omniq.models.config import Role
from omniq.models.record import Failure
from omniq.worker.relay import Relay

SPLITS = [
    {"task_queue": "memory", "result_storage": "sqlite", "event_storage": "sqlite"},
    {"task_queue": "sqlite", "result_storage": "memory", "event_storage": "memory"},
    {"task_queue": "sqlite", "result_storage": "memory", "event_storage": "sqlite"},
    {"task_queue": "sqlite", "result_storage": "sqlite", "event_storage": "memory"},
]


@pytest.fixture(params=SPLITS, ids=lambda roles: "-".join(kind[0] for kind in roles.values()))
async def split_shop(request, open_shop):
    shop = await open_shop(**request.param)
    assert not {Role.RESULT_STORAGE, Role.EVENT_STORAGE} <= shop.stores.joined
    return shop


async def test_every_outcome_has_its_result_and_every_transition_its_event_in_order(split_shop):
    shop = split_shop

    @shop.task
    async def good(i):
        return i

    @shop.task
    async def bad():
        raise ValueError("boom")

    ids = [await shop.enqueue(good, i) for i in range(250)]
    failing = await shop.enqueue(bad, max_attempts=2)
    async with shop.worker(concurrency=20):
        await shop.ended(failing, *ids)
    assert [await shop.value(task_id) for task_id in ids] == list(range(250))
    assert await shop.events(ids[7]) == ["ENQUEUED", "STARTED", "COMPLETED"]
    assert await shop.events(failing) == ["ENQUEUED", "STARTED", "RETRYING", "STARTED", "FAILED"]
    assert (await shop.error(failing)).message == "boom"
    assert await shop.queue.outbox() == []


async def test_what_ended_without_a_worker_gets_its_result_from_the_relay(split_shop, until):
    shop = split_shop

    @shop.task
    async def noop(): ...

    cancelled = await shop.enqueue(noop, eta=await shop.queue.time() + 60_000)
    expired = await shop.enqueue(noop, queue="other", expires_at=await shop.queue.time() + 30)
    await shop.queue.cancel([cancelled])
    async with shop.worker(queues=("default", "other"), sweep=True):
        await until(lambda: shop.outcome(cancelled))
        await until(lambda: shop.outcome(expired))
    assert str((await shop.outcome(cancelled)).status) == "CANCELLED"
    assert (await shop.error(cancelled)).type == "cancelled"
    if (await shop.head(expired)).attempts == 0:
        assert (await shop.error(expired)).type == "expired"
    await until(lambda: shop.events(cancelled))
    assert await shop.events(cancelled) == ["ENQUEUED", "CANCELLED"]


async def test_a_cancelled_run_has_a_cancelled_result(split_shop):
    shop = split_shop
    started = asyncio.Event()

    @shop.task
    async def wait():
        started.set()
        await asyncio.sleep(60)

    task_id = await shop.enqueue(wait)
    async with shop.worker(lease_ms=500):
        await started.wait()
        await shop.queue.cancel([task_id])
        await shop.ended(task_id)
    assert str((await shop.outcome(task_id)).status) == "CANCELLED"


async def test_what_a_dead_process_left_is_relayed_after_a_second(split_shop, until):
    """The queue changed, and whoever changed it died before it wrote results and events."""
    shop = split_shop

    @shop.task
    async def noop(): ...

    task_id = await shop.enqueue(noop, max_attempts=1)
    (grant,) = await shop.queue.claim(["default"], 1, "doomed", 60_000, "0123456789abcdef")
    await shop.queue.fail([Failure(task_id, grant.token, "ValueError: boom")])
    async with shop.worker():
        await until(lambda: shop.outcome(task_id))
        await until(lambda: shop.events(task_id))
    assert await shop.events(task_id) == ["ENQUEUED", "STARTED", "FAILED"]
    assert "boom" in (await shop.error(task_id)).message
    assert str((await shop.outcome(task_id)).status) == "FAILED"


async def test_relaying_twice_changes_nothing(split_shop):
    shop = split_shop

    @shop.task
    async def bad():
        raise ValueError("boom")

    task_id = await shop.enqueue(bad, max_attempts=1)
    (grant,) = await shop.queue.claim(["default"], 1, "w", 60_000, "0123456789abcdef")
    await shop.queue.fail([Failure(task_id, grant.token, "ValueError: boom")])
    entries = await shop.queue.outbox()
    await shop.stores.events.append(entries)  # one that died before it acknowledged
    relay = Relay(shop.stores)
    assert await relay.flush() == len(entries)
    assert await relay.flush() == 0
    assert await shop.events(task_id) == ["ENQUEUED", "STARTED", "FAILED"]


class FailingResults:
    """A result storage that cannot be reached while `error` is set."""

    def __init__(self, results):
        self._results = results
        self.error = None
        self.refused = set()

    def __getattr__(self, name):
        return getattr(self._results, name)

    async def put(self, records):
        if self.error is not None:
            raise self.error
        if self.refused & {record.id for record in records}:
            raise LimitExceededError("too large")
        return await self._results.put(records)


@pytest.fixture
async def failing(open_shop):
    shop = await open_shop(**SPLITS[0])
    results = FailingResults(shop.stores.results)
    shop.stores = attrs.evolve(shop.stores, results=results)
    return shop, results


async def test_a_short_outage_of_the_result_storage_only_delays(failing):
    shop, results = failing
    results.error = ConnectionLostError("down")

    @shop.task
    async def noop():
        return 1

    task_id = await shop.enqueue(noop)
    async with shop.worker(lease_ms=30_000) as worker:
        await asyncio.sleep(0.2)
        assert await shop.state(task_id) == "RUNNING"
        results.error = None
        assert await shop.ended(task_id) == ["COMPLETED"]
    assert (worker.report.completed, worker.report.retried) == (1, 0)
    assert (await shop.head(task_id)).attempts == 1


async def test_a_long_outage_of_the_result_storage_is_a_failure_that_is_tried_again(failing):
    """Never COMPLETED without its result."""
    shop, results = failing
    results.error = ConnectionLostError("down")

    @shop.task
    async def noop():
        return 1

    task_id = await shop.enqueue(noop)
    worker = shop.worker(lease_ms=400)
    running = asyncio.ensure_future(worker.run())
    give_up_at = time.monotonic() + 10
    while worker.report.retried == 0:
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.01)
    assert "COMPLETED" not in [str(event.type) for event in await shop.stores.events.read(limit=100)]
    assert (await shop.head(task_id)).error.startswith("result not stored: ")
    results.error = None
    assert await shop.ended(task_id) == ["COMPLETED"]
    worker.stop()
    await running
    assert await shop.value(task_id) == 1


async def test_a_result_that_its_storage_refuses_fails_its_task_only(failing):
    shop, results = failing
    results.refused = {"t2"}

    @shop.task
    async def noop():
        return 1

    for _ in range(3):
        await shop.enqueue(noop, max_attempts=1)
    results.refused = {"t2"}
    worker = shop.worker()
    running = asyncio.ensure_future(worker.run())
    assert await shop.ended("t1", "t2", "t3") == ["COMPLETED", "FAILED", "COMPLETED"]
    worker.stop()
    await running
    assert (await shop.head("t2")).error == "omniq.errors.LimitExceededError: too large"
    assert await shop.events("t2") == ["ENQUEUED", "STARTED", "FAILED"]


async def test_a_result_over_the_declared_limit_fails_saying_so(open_shop):
    shop = await open_shop("memory")
    limits = attrs.evolve(shop.stores.results.capabilities, max_payload_bytes=10)

    class Small(FailingResults):
        capabilities = limits

    @shop.task
    async def large():
        return "x" * 100

    task_id = await shop.enqueue(large)
    report = await shop.work(stores=attrs.evolve(shop.stores, results=Small(shop.stores.results)))
    assert (report.failed, report.retried) == (1, 0)
    assert (await shop.error(task_id)).type == "result too large"


async def test_an_outage_of_the_event_storage_keeps_the_events_in_the_outbox(open_shop, until, caplog):
    shop = await open_shop(**SPLITS[0])
    append, down = shop.stores.events.append, [True]

    async def fail(events):
        if down:
            raise ConnectionLostError("down")
        return await append(events)

    shop.stores.events.append = fail

    @shop.task
    async def noop(): ...

    task_id = await shop.enqueue(noop)
    async with shop.worker():
        assert await shop.ended(task_id) == ["COMPLETED"]
        assert len(await shop.queue.outbox()) == 3
        down.clear()
        await until(lambda: shop.events(task_id))
    assert await shop.events(task_id) == ["ENQUEUED", "STARTED", "COMPLETED"]
    assert "relaying events: the store works again" in caplog.text
