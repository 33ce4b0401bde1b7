"""Family 10: who waits is woken in time. These cases run on the store's own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from omniq.models.record import Completion, Failure, Release
from omniq_conformance.cases.specimens import claim, spec, start
from omniq_conformance.cases.timing import PATIENCE, allowed, in_time, measured
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq.models.record import Grant
    from omniq.storage.task_queue import TaskQueue

__all__: list[str] = []


async def _consume(queue: TaskQueue) -> None:
    """Claim and wait as a worker does, until there is something."""
    nonce = 7_000
    while not await claim(queue, nonce=nonce):
        nonce += 1
        at = await queue.next_at(["a"])
        until = PATIENCE if at is None else (at - await queue.time()) / 1000
        await queue.wait(["a", "c"], min(PATIENCE, max(0.0, until)))


async def _running(queue: TaskQueue) -> Grant:
    return await start(queue, "t")


async def _far_task(queue: TaskQueue) -> None:
    await queue.enqueue([spec("far", eta=await queue.time() + 3_600_000)])


async def _paused(queue: TaskQueue) -> None:
    await queue.pause(["a"])
    await queue.enqueue([spec("t")])


async def _failed(queue: TaskQueue) -> None:
    await queue.fail([Failure("t", (await start(queue, "t")).token, "e")])


async def _nothing(queue: TaskQueue) -> None:
    del queue


_LATER = 200
"""Milliseconds by which delayed work comes later."""


async def _delayed(queue: TaskQueue, state: Any) -> None:
    del state
    await queue.enqueue([spec("t", eta=await queue.time() + _LATER)])


async def _retried(queue: TaskQueue, grant: Any) -> None:
    await queue.fail([Failure("t", grant.token, "e", await queue.time() + _LATER)])


_Wake = Callable[["TaskQueue", Any], Awaitable[Any]]
_CAUSES: Mapping[str, tuple[Callable[[TaskQueue], Awaitable[Any]], _Wake, int]] = {
    "an enqueue": (_nothing, lambda queue, _: queue.enqueue([spec("t")]), 0),
    "an enqueue among others": (_nothing, lambda queue, _: queue.enqueue([spec("x", "b"), spec("t")]), 0),
    "a delayed enqueue": (_nothing, _delayed, _LATER),
    "a delayed enqueue before a later one": (_far_task, _delayed, _LATER),
    "a resume": (_paused, lambda queue, _: queue.resume(["a"]), 0),
    "a release": (_running, lambda queue, grant: queue.release([Release("t", grant.token, 0)]), 0),
    "a retry": (_running, _retried, _LATER),
    "a redrive": (_failed, lambda queue, _: queue.redrive(["t"]), 0),
}


@case("OQ-Q-1001", modes=(Mode.SEPARATE, Mode.JOINED))
@measured
async def waiting_for_work(trial: Trial) -> None:
    """Whatever lowers next_at lets an idle worker claim in time, through whichever handle it is done."""
    for what, (prepare, wake, later) in _CAUSES.items():
        async with trial.space() as space:
            waiter, other = (await space.open()).task_queue, (await space.open()).task_queue
            state = await prepare(other)
            async with asyncio.timeout(PATIENCE + 10), asyncio.TaskGroup() as group:
                group.create_task(_consume(waiter))
                await asyncio.sleep(0.03)
                possible = time.perf_counter() + later / 1000
                await wake(other, state)
            in_time(possible, allowed(waiter), f"an idle worker had the work that {what} gave it")


@case("OQ-Q-1002")
@measured
async def work_before_the_wait(trial: Trial) -> None:
    """Work that came after the last claim of the handle, but before its wait, is not slept through."""
    async with trial.space() as space:
        waiter, other = (await space.open()).task_queue, (await space.open()).task_queue
        for number in range(5):
            assert await claim(waiter, nonce=100 + number) == []
            await other.enqueue([spec(f"t{number}")])
            started = time.perf_counter()
            await waiter.wait(["a"], PATIENCE)
            in_time(started, allowed(waiter), "a wait returned for work that was there")
            (grant,) = await claim(waiter, nonce=200 + number)
            assert await other.complete([Completion(grant.id, grant.token)]) == ["ok"]


@case("OQ-Q-1003")
@measured
async def waits_end(trial: Trial) -> None:
    """A wait ends by its timeout, and does not disturb the loop meanwhile."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        await queue.enqueue([spec("t", eta=2**43)])
        started = time.perf_counter()
        turns = 0
        waiting = asyncio.gather(queue.wait(["a"], 0.1), queue.wait_done(["t"], 0.1))
        while not waiting.done():
            turns += 1
            await asyncio.sleep(0.005)
        assert (await waiting)[1] == {}
        in_time(started + 0.1, allowed(queue), "waits had ended by their timeout")
        assert turns > 3  # noqa: PLR2004 - the loop went round


@case("OQ-Q-1004")
@measured
async def waiters_of_other_queues(trial: Trial) -> None:
    """Of many waiters at least one wakes for each task, and every task is claimed soon."""
    async with trial.space() as space:
        handles = [(await space.open()).task_queue for _ in range(3)]
        claimed: list[str] = []

        async def consume(queue: TaskQueue, number: int) -> None:
            nonce = 1_000_000 * number
            while len(claimed) < 30:  # noqa: PLR2004 - all of them
                nonce += 1
                grants = await claim(queue, "a", "b", limit=1, nonce=nonce)
                claimed.extend(grant.id for grant in grants)
                if not grants:
                    await queue.wait(["a", "b"], 0.5)

        started = time.perf_counter()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for number, queue in enumerate(handles):
                group.create_task(consume(queue, number + 1))
            for number in range(30):
                await asyncio.sleep(0.002)
                await handles[number % 3].enqueue([spec(f"t{number}", "ab"[number % 2])])
            # Those that find nothing more are let go by one more task each.
        assert sorted(claimed) == sorted(f"t{number}" for number in range(30))
        in_time(started + 2.0, 10 * allowed(handles[0]), "several workers had everything")
