"""Family 09: a call that is cancelled at any moment leaves the store consistent and the handle usable."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.cases.cancel_plans import PLANS, World
from omniq_conformance.cases.remains import check_remains, remains
from omniq_conformance.cases.specimens import T0, claim, event, spec
from omniq_conformance.invariants import chains, check_chain, check_fold, check_records
from omniq_conformance.outcomes import DivergenceError, VacuousError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode, Stores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omniq_conformance.cases.cancel_plans import Prepare
    from omniq_conformance.space import Space

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_PATIENCE = 10.0
_LONGEST = 20_000


def _turns(longest: int = _LONGEST) -> Iterator[int]:
    """Yield after how many turns of the event loop to cancel: each of the first ones, then ever fewer."""
    count = 0
    while count <= longest:
        yield count
        count += 1 + count // 3


@case("OQ-X-0955", modes=BOTH)
async def cancelled_calls(trial: Trial) -> None:
    """A call that is cancelled at any moment was applied once or not at all, and may be repeated."""
    async with trial.space() as space:
        world = World(await space.open(), trial.mode)
        seen: Counter[str] = Counter()
        plans = PLANS[trial.mode]
        for name, prepare in plans.items():
            await _walk(world, name, prepare, seen)
        trial.evidence.update(calls=len(plans), **seen)
        if not seen["cancelled"]:
            msg = "Every call was over before it could be cancelled."
            raise VacuousError(msg)
        await _check_whole(world)
    if len(asyncio.all_tasks()) > 1:
        msg = f"These are left: {asyncio.all_tasks()}"
        raise DivergenceError(msg)


async def _walk(world: World, name: str, prepare: Prepare, seen: Counter[str]) -> None:
    """Cancel one kind of call after none, one, two ... turns of the event loop, until it is over before."""
    for number, count in enumerate(_turns()):
        id = f"{name} {number}"
        plan = await prepare(world, id)
        stranger = asyncio.ensure_future(world.queue.enqueue([spec(f"beside {id}", "strangers")], now=T0))
        is_over = await _cancelled(plan.call, count)
        async with asyncio.timeout(_PATIENCE):
            assert [answer.created for answer in await stranger] == [True], f"the call beside {id}, after {count} turns"
            answer = await plan.call()
            await plan.check()
        allowed = [plan.again] if is_over else [plan.first, plan.again]
        if answer not in allowed:
            msg = f"{name}, cancelled after {count} turns, answers {answer!r} when repeated; allowed: {allowed}"
            raise DivergenceError(msg)
        if is_over:
            return
        seen["cancelled"] += 1
        if plan.first != plan.again:
            seen["and applied" if answer == plan.again else "and not applied"] += 1


async def _cancelled(call: Callable[[], Awaitable[object]], count: int) -> bool:
    """Start a call and cancel it after so many turns; return whether it was over before."""

    async def called() -> None:
        await call()

    task = asyncio.ensure_future(called())
    for _ in range(count):
        if task.done():
            break
        await asyncio.sleep(0)
    if task.done():
        await task
        return True
    task.cancel()
    async with asyncio.timeout(_PATIENCE):
        await asyncio.wait((task,))
    if not task.cancelled():
        await task
    return False


async def _check_whole(world: World) -> None:
    """Check that the records and the log of transitions agree."""
    records = await world.records()
    faults = list(check_records(records))
    found = chains(await world.transitions())
    for record in records:
        chain = found[record.id, record.seq]
        faults += [*check_chain(chain), *check_fold(record, chain)]
    if faults:
        raise DivergenceError("\n".join(faults[:20]))


@attrs.frozen
class _Waiting:
    """One kind of waiting: how it is started, and what ends it."""

    start: Callable[[Stores], Coroutine[Any, Any, object]]
    end: Callable[[Stores], Awaitable[object]]


async def _next_event(stores: Stores) -> object:
    return await anext(stores.events.tail())


_WAITS = {
    "wait": _Waiting(
        lambda stores: stores.task_queue.wait(["a"], 60), lambda stores: stores.task_queue.enqueue([spec("t")])
    ),
    "wait_done": _Waiting(
        lambda stores: stores.task_queue.wait_done(["u"], 60), lambda stores: stores.task_queue.cancel(["u"])
    ),
    "tail": _Waiting(_next_event, lambda stores: stores.events.append([event("v", 1)])),
}


@case("OQ-X-0954")
async def cancelled_waits(trial: Trial) -> None:
    """Waits that are cancelled leave nothing behind, and wake nobody's sleep: the one that remains is woken."""
    for name, waiting in _WAITS.items():
        async with trial.space() as space:
            stores = await space.open()
            await stores.task_queue.enqueue([spec("u", "other", eta=2**43)])
            remaining = asyncio.ensure_future(waiting.start(stores))
            await asyncio.sleep(0.01)
            before = remains()
            for count in _turns(longest=200):
                await _cancelled(partial(waiting.start, stores), count)
            await check_remains(before, f"Cancelled calls of {name}")
            assert not remaining.done()
            await waiting.end(stores)
            async with asyncio.timeout(_PATIENCE):
                await remaining


@case("OQ-X-0956")
async def cancelled_openings(trial: Trial) -> None:
    """Opening and closing may be cancelled at any moment: closing again frees everything, and opening again works."""
    async with trial.space() as space:
        keeper = await space.open()
        await keeper.task_queue.enqueue([spec("t")], now=T0)
        for _ in range(2):  # an engine may keep what it uses again
            await (await trial.harness.open(space.name)).close()
        before = remains()
        points = 0
        for count in _turns(longest=3000):
            points += await _opening_cancelled(trial, space, count)
            await check_remains(before, f"Opening, cancelled after {count} turns,")
            opened = await trial.harness.open(space.name)
            assert opened.task_queue is not None
            await opened.task_queue.queues(now=T0)
            points += not await _cancelled(opened.close, count)
            async with asyncio.timeout(_PATIENCE):
                await opened.close()
            await check_remains(before, f"Closing, cancelled after {count} turns,")
        trial.evidence["cancelled"] = points
        assert [grant.id for grant in await claim(keeper.task_queue, now=T0)] == ["t"]


async def _opening_cancelled(trial: Trial, space: Space, count: int) -> bool:
    """Open a handle, cancel that after so many turns, and return whether it was not over before."""
    opening = asyncio.ensure_future(trial.harness.open(space.name))
    for _ in range(count):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait((opening,), timeout=_PATIENCE)
    if not opening.done():
        msg = f"Opening does not end within {_PATIENCE:.0f} s of being cancelled."
        raise DivergenceError(msg)
    if opening.cancelled():
        return True
    await opening.result().close()
    return False
