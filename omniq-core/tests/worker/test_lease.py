"""Leases: renewed whatever the loop does, given up when they cannot be renewed."""

from __future__ import annotations

import asyncio
import threading
import time

import attrs

from omniq.errors import ConnectionLostError
from omniq.worker import current_task


async def test_a_blocked_loop_does_not_lose_its_task(shop, caplog):
    starts = []
    started, stop = threading.Event(), threading.Event()

    @shop.task
    async def block():
        starts.append(current_task().attempt)
        started.set()
        time.sleep(2.5)  # noqa: ASYNC251 - what this is about
        return "done"

    async def claim_what_is_lost():
        sibling = shop.queue.sibling()
        async with sibling:
            while not stop.is_set():
                grants = await sibling.claim(["default"], 10, "rival", 60_000, f"{time.monotonic_ns():016x}")
                starts.extend(f"rival got {grant.id}" for grant in grants)
                await asyncio.sleep(0.02)

    def rival():
        if started.wait(10):
            asyncio.run(claim_what_is_lost())

    task_id = await shop.enqueue(block)
    other = asyncio.ensure_future(asyncio.to_thread(rival))  # it has a loop of its own, this one will be blocked
    try:
        await shop.work(lease_ms=800)
    finally:
        started.set()
        stop.set()
        await other
    assert starts == [1]
    assert await shop.state(task_id) == "COMPLETED"
    (warning,) = [record.getMessage() for record in caplog.records if "has been blocked" in record.getMessage()]
    assert "time.sleep(2.5)" in warning


async def test_a_claim_whose_reply_the_blocked_loop_cannot_read_is_kept(shop, until):
    """Two tasks with one slot each time: the second claim is on its way while the loop is blocked."""
    starts = []
    gate = asyncio.Event()

    @shop.task
    async def waits():
        await gate.wait()

    @shop.task
    async def note():
        starts.append(current_task().attempt)

    worker = shop.worker(lease_ms=800, concurrency=2)
    await shop.enqueue(waits)
    running = asyncio.ensure_future(worker.run())
    await until(lambda: worker.report.claimed == 1)
    claim = shop.queue.claim

    async def slow_claim(*args, **kwargs):
        grants = await claim(*args, **kwargs)
        if grants:
            time.sleep(2)  # noqa: ASYNC251 - the loop is blocked before the worker sees the reply
        return grants

    shop.queue.claim = slow_claim
    task_id = await shop.enqueue(note)
    assert await shop.ended(task_id) == ["COMPLETED"]
    shop.queue.claim = claim
    gate.set()
    worker.stop()
    await running
    assert starts == [1]
    assert (await shop.head(task_id)).attempts == 1


async def test_a_long_task_keeps_its_lease(shop):
    @shop.task
    async def long():
        await asyncio.sleep(1.5)
        return current_task().attempt

    @shop.task
    def long_in_thread():
        time.sleep(1.5)
        return current_task().attempt

    ids = [await shop.enqueue(long), await shop.enqueue(long_in_thread)]
    async with shop.worker(lease_ms=500), shop.worker(lease_ms=500):
        assert await shop.ended(*ids) == ["COMPLETED", "COMPLETED"]
    assert [await shop.value(task_id) for task_id in ids] == [1, 1]


async def test_a_requested_cancel_reaches_a_coroutine(shop):
    started, cleaned_up = asyncio.Event(), []

    @shop.task
    async def wait():
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            cleaned_up.append(current_task().why_cancelled)

    task_id = await shop.enqueue(wait)
    async with shop.worker(lease_ms=500) as worker:
        await started.wait()
        assert await shop.queue.cancel([task_id]) == ["requested"]
        assert await shop.ended(task_id) == ["CANCELLED"]
    assert cleaned_up == ["cancel"]
    assert worker.report.failed == 1
    assert (await shop.error(task_id)).type == "cancelled"
    assert str((await shop.outcome(task_id)).status) == "CANCELLED"


async def test_a_requested_cancel_reaches_a_thread_that_asks(shop):
    started = threading.Event()

    @shop.task
    def wait():
        started.set()
        while not current_task().is_cancelled:
            time.sleep(0.005)
        raise RuntimeError(current_task().why_cancelled)

    task_id = await shop.enqueue(wait)
    async with shop.worker(lease_ms=500):
        await asyncio.to_thread(started.wait, 10)
        await shop.queue.cancel([task_id])
        assert await shop.ended(task_id) == ["CANCELLED"]
    assert (await shop.error(task_id)).message == "cancel"


async def test_a_task_that_completes_beats_its_cancel(shop):
    started, go_on = threading.Event(), threading.Event()

    @shop.task
    def wait():
        started.set()
        go_on.wait(10)
        return "won"

    task_id = await shop.enqueue(wait)
    async with shop.worker(lease_ms=500):
        await asyncio.to_thread(started.wait, 10)
        await shop.queue.cancel([task_id])
        go_on.set()
        assert await shop.ended(task_id) == ["COMPLETED"]
    assert await shop.value(task_id) == "won"


async def test_heartbeat_makes_a_cancel_known_at_once(shop):
    started = asyncio.Event()

    @shop.task
    async def work():
        started.set()
        while True:
            current_task().heartbeat()
            await asyncio.sleep(0.01)

    task_id = await shop.enqueue(work)
    async with shop.worker(lease_ms=60_000, heartbeat_ms=20_000):
        await started.wait()
        await shop.queue.cancel([task_id])
        assert await shop.ended(task_id, timeout=5) == ["CANCELLED"]


async def test_a_task_that_another_worker_took_over_is_stopped_and_its_outcome_discarded(shop):
    started, why = asyncio.Event(), []

    @shop.task
    async def wait():
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            why.append(current_task().why_cancelled)

    task_id = await shop.enqueue(wait)
    worker = shop.worker(lease_ms=500, queues=("default",))
    running = asyncio.ensure_future(worker.run())
    await started.wait()
    # Ended and redriven behind the worker's back: its token is not current any more.
    head = await shop.head(task_id)
    token = head.token
    from omniq.models.record import Failure

    await shop.queue.pause(["default"])
    assert await shop.queue.fail([Failure(task_id, token, "by hand")]) == ["FAILED"]
    assert await shop.queue.redrive([task_id]) == ["ok"]
    for _ in range(500):
        if why:
            break
        await asyncio.sleep(0.01)
    worker.stop()
    report = await running
    assert (why, report.lost, report.failed) == (["lost"], 1, 0)
    assert await shop.state(task_id) == "PENDING"


class DeafQueue:
    """Passes everything on, but its siblings cannot reach the store while it is deaf."""

    def __init__(self, queue):
        self._queue = queue
        self.is_deaf = False
        self.heartbeats = 0

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def sibling(self):
        return DeafSibling(self)


class DeafSibling:
    def __init__(self, owner):
        self._owner = owner
        self._sibling = owner._queue.sibling()

    async def open(self):
        self._check()
        await self._sibling.open()

    async def close(self):
        await self._sibling.close()

    async def heartbeat(self, tokens, lease_ms):
        self._check()
        self._owner.heartbeats += 1
        return await self._sibling.heartbeat(tokens, lease_ms)

    async def held(self, worker, claim_id):
        self._check()
        return await self._sibling.held(worker, claim_id)

    async def time(self):
        self._check()
        return await self._sibling.time()

    def _check(self):
        if self._owner.is_deaf:
            raise ConnectionLostError("the network is down")


async def test_a_worker_that_cannot_renew_fences_itself_off_and_comes_back(shop, until):
    started, why, second = asyncio.Event(), [], []

    @shop.task
    async def wait():
        if current_task().attempt > 1:
            second.append(time.monotonic())
            return "second attempt"
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            why.append((current_task().why_cancelled, time.monotonic()))

    queue = DeafQueue(shop.queue)
    task_id = await shop.enqueue(wait)
    worker = shop.worker(stores=attrs.evolve(shop.stores, task_queue=queue), lease_ms=1000)
    running = asyncio.ensure_future(worker.run())
    await started.wait()
    await until(lambda: queue.heartbeats > 0)
    lease_until = (await shop.head(task_id)).lease_until
    queue.is_deaf = True
    await until(lambda: why)
    assert why[0][0] == "fenced"
    assert await shop.queue.time() < (await shop.head(task_id)).lease_until
    assert (await shop.head(task_id)).lease_until >= lease_until
    await until(lambda: worker.health().state == "fenced")
    await asyncio.sleep(1.2)
    assert (second, worker.report.claimed) == ([], 1)
    queue.is_deaf = False
    assert await shop.ended(task_id) == ["COMPLETED"]
    worker.stop()
    report = await running
    assert (report.claimed, report.lost, report.completed) == (2, 1, 1)


async def test_short_tasks_cost_no_heartbeat(memory_shop):
    shop = memory_shop

    @shop.task
    async def short():
        await asyncio.sleep(0.001)

    queue = DeafQueue(shop.queue)
    for _ in range(200):
        await shop.enqueue(short)
    report = await shop.work(stores=attrs.evolve(shop.stores, task_queue=queue), lease_ms=30_000)
    assert (report.completed, queue.heartbeats) == (200, 0)


async def test_the_lease_thread_starts_with_the_first_claim_and_ends_with_the_worker(memory_shop):
    def lease_threads():
        return [thread for thread in threading.enumerate() if thread.name.startswith("omniq-lease")]

    async with memory_shop.worker():
        await asyncio.sleep(0.05)
        assert lease_threads() == []

        @memory_shop.task
        async def noop(): ...

        await memory_shop.ended(await memory_shop.enqueue(noop))
        assert len(lease_threads()) == 1
    assert lease_threads() == []
