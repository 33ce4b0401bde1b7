"""Family 10: who waits is woken in time. These cases run on the store's own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from omniq.models.record import Completion, Failure, Release
from omniq_conformance.cases.specimens import claim, spec, start
from omniq_conformance.cases.timing import LateError, allowed, in_time, measured
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq.models.record import Grant
    from omniq.storage.task_queue import TaskQueue

__all__: list[str] = []


async def _consume(queue: TaskQueue, patience: float) -> None:
    """Claim and wait as a worker does, until there is something."""
    nonce = 7_000
    while not await claim(queue, nonce=nonce):
        nonce += 1
        at = await queue.next_at(["a"])
        until = patience if at is None else (at - await queue.time()) / 1000
        await queue.wait(["a", "c"], min(patience, max(0.0, until)))


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
            async with asyncio.timeout(trial.profile.patience + 10), asyncio.TaskGroup() as group:
                group.create_task(_consume(waiter, trial.profile.patience))
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
            await asyncio.sleep(0.01 * number)  # by then whatever woke nobody is over
            started = time.perf_counter()
            await waiter.wait(["a"], trial.profile.patience)
            in_time(started, allowed(waiter), "a wait returned for work that was there")
            (grant,) = await claim(waiter, nonce=200 + number)
            assert await other.complete([Completion(grant.id, grant.token)]) == ["ok"]


@case("OQ-Q-1005")
@measured
async def work_while_the_wait_begins(trial: Trial) -> None:
    """Work that comes while a wait begins, at whatever step of the event loop, is not slept through."""
    async with trial.space() as space:
        waiter, other = (await space.open()).task_queue, (await space.open()).task_queue
        for steps in range(8):
            waiting = asyncio.ensure_future(waiter.wait(["a"], trial.profile.patience))
            for _ in range(steps):
                await asyncio.sleep(0)
            await other.enqueue([spec(f"t{steps}")])
            started = time.perf_counter()
            await waiting
            in_time(started, allowed(waiter), f"a wait returned for work that came {steps} steps after it began")
            (grant,) = await claim(waiter, nonce=steps)
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
        if turns <= 3:  # noqa: PLR2004 - the loop went round some times, if the machine let it
            msg = f"The event loop turned {turns} times in the 0.1 s of the waits."
            raise LateError(msg)


@case("OQ-Q-1004")
@measured
async def several_waiters(trial: Trial) -> None:
    """Of many waiters at least one wakes for each task, and every task is claimed soon."""
    async with trial.space() as space:
        handles = [(await space.open()).task_queue for _ in range(3)]
        made = [spec(f"t{number}", "ab"[number % 2]) for number in range(30)]
        claimed: list[str] = []

        async def consume(queue: TaskQueue, number: int) -> None:
            nonce = 1_000_000 * number
            while True:
                nonce += 1
                grants = await claim(queue, "a", "b", limit=1, nonce=nonce)
                claimed.extend(grant.id for grant in grants)
                if not grants:
                    await queue.wait(["a", "b"], trial.profile.patience)

        consumers = [asyncio.ensure_future(consume(queue, number)) for number, queue in enumerate(handles, 1)]
        try:
            for number, task in enumerate(made):
                await asyncio.sleep(0.002)
                await handles[number % 3].enqueue([task])
            started = time.perf_counter()
            async with asyncio.timeout(trial.profile.patience + 10):
                while len(claimed) < len(made) and not any(each.done() for each in consumers):  # noqa: ASYNC110 - polls
                    await asyncio.sleep(0.001)
            in_time(started, allowed(handles[0]), "several workers had everything")
        finally:
            for each in consumers:
                each.cancel()
            ends = await asyncio.gather(*consumers, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * len(ends), ends
        assert sorted(claimed) == sorted(task.id for task in made)
