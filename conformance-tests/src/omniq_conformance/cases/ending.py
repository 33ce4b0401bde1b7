"""Family 10: who waits for the end of a task is woken in time. These cases run on the store's own clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from omniq.models.record import Completion, Failure, Release
from omniq.models.status import TaskStatus
from omniq_conformance.cases.specimens import LEASE, claim, spec, start
from omniq_conformance.cases.timing import allowed, in_time, measured
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from omniq.models.record import Grant
    from omniq.storage.task_queue import TaskQueue

__all__: list[str] = []


_HANGS = 30.0
"""Seconds after which a wait does not end any more: more than any patience."""


async def _woken(queue: TaskQueue, wait: Awaitable[Any], wake: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Wait, do what should end the wait, and measure how long that takes."""
    waiting = asyncio.ensure_future(wait)
    await asyncio.sleep(0.02)
    if waiting.done() and isinstance(waiting.result(), dict):
        msg = f"Waiting for {what} ended before it happened: {waiting.result()!r}."
        raise DivergenceError(msg)
    started = time.perf_counter()
    await wake()
    try:
        async with asyncio.timeout(_HANGS):
            answer = await waiting
    except TimeoutError:
        msg = f"Waiting for {what} did not end, not even by its timeout."
        raise DivergenceError(msg) from None
    in_time(started, allowed(queue), f"waiting was ended by {what}")
    return answer


@case("OQ-Q-1010", modes=(Mode.SEPARATE, Mode.JOINED))
@measured
async def waiting_for_the_end(trial: Trial) -> None:
    """Every way in which a task ends is pushed to who waits for it."""

    async def settle(queue: TaskQueue, grant: Grant, how: str) -> None:
        match how:
            case "complete":
                await queue.complete([Completion("t", grant.token)])
            case "fail":
                await queue.fail([Failure("t", grant.token, "e")])
            case "release after a cancel":
                await queue.cancel(["t"])
                await queue.release([Release("t", grant.token, 0)])
            case "recovery after a cancel":
                await queue.cancel(["t"])
                await queue.heartbeat([("t", grant.token)], 0)
                await asyncio.sleep(0.03)
                await queue.recover(["a"])
            case _:
                await queue.release([Release("t", grant.token, 0)])
                await asyncio.sleep(0.02)  # or who looks because of the release sees the cancel too
                await queue.cancel(["t"])

    ends = {
        "complete": TaskStatus.COMPLETED,
        "fail": TaskStatus.FAILED,
        "release after a cancel": TaskStatus.CANCELLED,
        "recovery after a cancel": TaskStatus.CANCELLED,
        "cancel while waiting": TaskStatus.CANCELLED,
    }
    for how, state in ends.items():
        async with trial.space() as space:
            waiter, other = (await space.open()).task_queue, (await space.open()).task_queue
            lease = 20 if how.startswith("recovery") else LEASE
            await other.enqueue([spec("t"), spec("u", "b")])
            (grant,) = await claim(other, lease_ms=lease)
            wait = waiter.wait_done(["u", "t"], trial.profile.patience)
            done = await _woken(waiter, wait, lambda: settle(other, grant, how), how)  # noqa: B023 - awaited here
            assert dict(done) == {"t": state}


@case("OQ-Q-1011")
@measured
async def ends_that_are_there_already(trial: Trial) -> None:
    """Ended, expired and unknown tasks are answered at once; several at a time."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        now = await queue.time()
        grant = await start(queue, "done")
        await queue.complete([Completion("done", grant.token)])
        await queue.enqueue([spec("gone", expires_at=now - 5), spec("open")])
        started = time.perf_counter()
        answer = await queue.wait_done(["open", "done", "gone", "?"], trial.profile.patience)
        assert dict(answer) == {"done": TaskStatus.COMPLETED, "gone": TaskStatus.FAILED, "?": None}
        assert dict(await queue.wait_done([], 0.0)) == {}
        assert dict(await queue.wait_done(["open"], 0.0)) == {}
        in_time(started, allowed(queue), "waiting for what had ended was over")


@case("OQ-Q-1012")
@measured
async def expiry_during_the_wait(trial: Trial) -> None:
    """A task that expires while someone waits for it ends the wait, though nobody sweeps."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        now = await queue.time()
        await queue.enqueue([spec("t", expires_at=now + 150)])
        started = time.perf_counter()
        assert dict(await queue.wait_done(["t"], trial.profile.patience)) == {"t": TaskStatus.FAILED}
        limit = allowed(queue) + queue.capabilities.max_wait_ms / 1000
        in_time(started + 0.15, limit, "waiting for what had expired was over")


@case("OQ-Q-1013")
async def own_clock(trial: Trial) -> None:
    """Without `now` the store's clock counts, and nothing waits for a clock to catch up."""
    async with trial.space() as space:
        stores = await space.open()
        before = await stores.task_queue.time()
        for number in range(20):
            grant = await start(stores.task_queue, f"t{number}")
            assert await stores.task_queue.complete([Completion(grant.id, grant.token)]) == ["ok"]
        after = await stores.task_queue.time()
        error = stores.task_queue.capabilities.clock_error_ms
        for record in await stores.task_queue.list():
            times = (before - error, record.enqueued_at, record.started_at, record.finished_at, after + error)
            assert list(times) == sorted(time or 0 for time in times)
        assert abs(await stores.schedules.time() - after) < 1000 + error
