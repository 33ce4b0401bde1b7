from __future__ import annotations

import asyncio
import time

import pytest

from omniq.errors import ConnectionLostError, StorageError
from omniq.models.status import TaskStatus
from omniq.queue.waiting import DoneWaiter

DONE = TaskStatus.COMPLETED


class Queue:
    """Ends tasks when the test says so, and counts the calls."""

    def __init__(self) -> None:
        self.done: dict[str, TaskStatus | None] = {}
        self.calls: list[list[str]] = []
        self.open_calls = 0
        self.failures: list[Exception] = []
        self._changed = asyncio.Event()

    def end(self, *ids: str, status: TaskStatus | None = DONE) -> None:
        self.done |= dict.fromkeys(ids, status)
        self._changed.set()

    async def wait_done(self, ids, timeout):
        self.calls.append(list(ids))
        if self.failures:
            raise self.failures.pop(0)
        self.open_calls += 1
        try:
            until = asyncio.get_running_loop().time() + timeout
            while True:
                found = {task_id: self.done[task_id] for task_id in ids if task_id in self.done}
                if found:
                    return found
                self._changed.clear()
                try:
                    async with asyncio.timeout_at(until):
                        await self._changed.wait()
                except TimeoutError:
                    return {}
        finally:
            self.open_calls -= 1


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
async def waiter(queue):
    waiter = DoneWaiter(queue)
    yield waiter
    await waiter.close()
    assert queue.open_calls == 0


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_wait_ends_with_its_task(waiter, queue):
    wait = asyncio.ensure_future(waiter.wait("a", 5))
    await settle()
    queue.end("a", status=TaskStatus.FAILED)
    assert await wait is TaskStatus.FAILED


async def test_an_unknown_task_is_told(waiter, queue):
    queue.end("a", status=None)
    assert await waiter.wait("a", 5) is None


async def test_thousands_of_waits_are_one_call(waiter, queue):
    ids = [str(i) for i in range(5000)]
    waits = [asyncio.ensure_future(waiter.wait(task_id, 5)) for task_id in ids]
    await settle()
    assert queue.calls == [ids]
    queue.end(*ids)
    assert await asyncio.gather(*waits) == [DONE] * 5000
    assert len(queue.calls) == 1


async def test_a_wait_that_comes_later_joins(waiter, queue):
    first = asyncio.ensure_future(waiter.wait("a", 5))
    await settle()
    second = asyncio.ensure_future(waiter.wait("b", 5))
    await settle()
    assert queue.calls == [["a"], ["a", "b"]]
    assert queue.open_calls == 1
    queue.end("b")
    assert await second is DONE
    await settle()
    assert queue.calls[-1] == ["a"]
    queue.end("a")
    assert await first is DONE


async def test_several_may_wait_for_one_task(waiter, queue):
    waits = [asyncio.ensure_future(waiter.wait("a", 5)) for _ in range(3)]
    await settle()
    assert queue.calls == [["a"]]
    queue.end("a")
    assert await asyncio.gather(*waits) == [DONE] * 3


async def test_a_wait_ends_at_its_deadline_and_leaves_nothing_behind(waiter, queue):
    started = time.perf_counter()
    with pytest.raises(TimeoutError):
        await waiter.wait("a", 0.05)
    assert 0.04 < time.perf_counter() - started < 1
    await settle()
    assert queue.open_calls == 0
    assert waiter._futures == {}


async def test_the_deadline_of_one_does_not_end_the_wait_of_another(waiter, queue):
    patient = asyncio.ensure_future(waiter.wait("a", 5))
    with pytest.raises(TimeoutError):
        await waiter.wait("a", 0.01)
    queue.end("a")
    assert await patient is DONE


async def test_a_cancelled_wait_leaves_nothing_behind(waiter, queue):
    wait = asyncio.ensure_future(waiter.wait("a", None))
    await settle()
    wait.cancel()
    await asyncio.gather(wait, return_exceptions=True)
    await settle()
    assert queue.open_calls == 0
    assert waiter._futures == {}
    assert waiter._watcher is None


async def test_ten_thousand_waits_leave_nothing_behind(waiter, queue):
    for start in range(0, 10_000, 500):
        ids = [str(i) for i in range(start, start + 500)]
        waits = [asyncio.ensure_future(waiter.wait(task_id, 5)) for task_id in ids]
        await settle()
        queue.end(*ids[::2])
        for wait in waits[1::2]:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    await settle()
    assert (waiter._futures, waiter._watcher, queue.open_calls) == ({}, None, 0)


async def test_a_lost_connection_is_asked_again(waiter, queue):
    queue.failures = [ConnectionLostError("gone"), ConnectionLostError("still gone")]
    queue.end("a")
    assert await waiter.wait("a", 5) is DONE
    assert len(queue.calls) == 3


async def test_another_failure_reaches_every_waiter(waiter, queue):
    queue.failures = [StorageError("disk full")]
    waits = [asyncio.ensure_future(waiter.wait(task_id, 5)) for task_id in ("a", "b")]
    outcomes = await asyncio.gather(*waits, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["disk full", "disk full"]
    queue.end("a")
    assert await waiter.wait("a", 5) is DONE


async def test_closing_ends_the_waits(queue):
    waiter = DoneWaiter(queue)
    wait = asyncio.ensure_future(waiter.wait("a", None))
    await settle()
    await waiter.close()
    outcomes = await asyncio.gather(wait, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError]
    assert queue.open_calls == 0


async def test_a_watcher_that_is_cancelled_before_it_begins_blocks_nothing(waiter, queue):
    wait = asyncio.ensure_future(waiter.wait("a", None))
    await asyncio.sleep(0)
    (watcher,) = (task for task in asyncio.all_tasks() if task.get_name() == "omniq-waits")
    watcher.cancel()
    outcomes = await asyncio.gather(wait, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError]
    queue.end("b")
    assert await waiter.wait("b", 5) is DONE
