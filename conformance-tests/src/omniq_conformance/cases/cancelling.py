"""Family 09: a call that is cancelled at any moment leaves the store consistent and the handle usable."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.config import Role
from omniq_conformance.cases.cancel_plans import PLANS, World
from omniq_conformance.cases.interrupting import MOMENTS, Moment, interrupted
from omniq_conformance.cases.remains import leaves_nothing
from omniq_conformance.cases.specimens import T0, claim, event, spec
from omniq_conformance.invariants import chains, check_chain, check_fold, check_records
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode, Stores

if TYPE_CHECKING:
    from omniq_conformance.cases.cancel_plans import Prepare

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_PATIENCE = 10.0


@case("OQ-X-0955", modes=BOTH)
async def cancelled_calls(trial: Trial) -> None:
    """A call that is cancelled wherever it waits was applied once or not at all, and may be repeated."""
    async with trial.space() as space:
        stores = await space.open()
        world = World(stores, trial.mode)
        seen: Counter[str] = Counter()
        plans = dict(PLANS[trial.mode])
        if Role.SCHEDULE_STORAGE not in stores.joined:
            plans.pop("fire", None)
        for name, prepare in plans.items():
            await _walk(world, name, prepare, seen)
        trial.evidence.update(calls=len(plans), **seen)
        await _check_whole(world)
    if len(asyncio.all_tasks()) > 1:
        msg = f"These are left: {asyncio.all_tasks()}"
        raise DivergenceError(msg)


async def _walk(world: World, name: str, prepare: Prepare, seen: Counter[str]) -> None:
    """Cancel one kind of call at every moment at which it can be."""
    for moment in MOMENTS:
        id = f"{name} {moment}"
        plan = await prepare(world, id)
        stranger = asyncio.ensure_future(world.queue.enqueue([spec(f"beside {id}", "strangers")], now=T0))
        async with asyncio.timeout(_PATIENCE):
            was_cancelled = await interrupted(plan.call, moment)
            assert [answer.created for answer in await stranger] == [True], f"the call beside {id}"
            answer = await plan.call()
            await plan.check()
        allowed = [plan.first, plan.again] if was_cancelled else [plan.again]
        if answer not in allowed:
            msg = f"{name}, cancelled {moment}, answers {answer!r} when it is repeated; allowed: {allowed}"
            raise DivergenceError(msg)
        if not was_cancelled:
            return
        seen["cancelled"] += 1
        if plan.first != plan.again:
            seen["and applied" if answer == plan.again else "and not applied"] += 1


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
    """Waits that are cancelled leave nothing behind, and the one that remains is woken."""
    for name, waiting in _WAITS.items():
        async with trial.space() as space:
            stores = await space.open()
            if name == "tail" and stores.opened.events is None:
                continue
            await stores.task_queue.enqueue([spec("u", "other", eta=2**43)])
            remaining = asyncio.ensure_future(waiting.start(stores))
            await leaves_nothing(
                partial(_give_up_often, partial(waiting.start, stores), name), f"Cancelled calls of {name}"
            )
            assert not remaining.done()
            await waiting.end(stores)
            async with asyncio.timeout(_PATIENCE):
                await remaining


async def _give_up_often(start: Callable[[], Coroutine[Any, Any, object]], name: str) -> None:
    cancelled = [await _given_up(start, turns) for turns in range(30)]
    cancelled.append(await _given_up(start, 0, 0.02))
    assert all(cancelled), f"{name} does not wait"


async def _given_up(start: Callable[[], Coroutine[Any, Any, object]], turns: int, seconds: float = 0.0) -> bool:
    """Start to wait, cancel that so many turns of the event loop and seconds later; return whether it still waited."""
    task = asyncio.ensure_future(start())
    for _ in range(turns):
        await asyncio.sleep(0)
    if seconds:
        await asyncio.sleep(seconds)
    task.cancel()
    async with asyncio.timeout(_PATIENCE):
        await asyncio.wait((task,))
    return task.cancelled()


@case("OQ-X-0956")
async def cancelled_openings(trial: Trial) -> None:
    """Opening and closing may be cancelled at any moment: closing again frees everything, and opening again works."""
    async with trial.space() as space:
        keeper = await space.open()
        await keeper.task_queue.enqueue([spec("t")], now=T0)
        seen = Counter({"openings": 0, "closings": 0})
        for kind, work in {"openings": _cancelled_opening, "closings": _cancelled_closing}.items():
            for moment in MOMENTS:
                cancelled: list[bool] = []
                await leaves_nothing(
                    partial(work, trial, space.name, moment, cancelled), f"One of the {kind}, cancelled {moment},"
                )
                seen[kind] += cancelled[-1]
                if not cancelled[-1]:
                    break
        trial.evidence.update(seen)
        assert [grant.id for grant in await claim(keeper.task_queue, now=T0)] == ["t"]


async def _cancelled_opening(trial: Trial, name: str, moment: Moment, cancelled: list[bool]) -> None:
    opened: list[Any] = []

    async def opening() -> None:
        opened.append(await trial.harness.open(name))

    cancelled.append(await _in_time(opening, moment))
    for handle in opened:
        await handle.close()


async def _cancelled_closing(trial: Trial, name: str, moment: Moment, cancelled: list[bool]) -> None:
    handle = await trial.harness.open(name)
    await Stores(handle, trial.harness).task_queue.queues(now=T0)
    cancelled.append(await _in_time(handle.close, moment))
    async with asyncio.timeout(_PATIENCE):
        await handle.close()


@case("OQ-X-0957")
async def openings_at_once(trial: Trial) -> None:
    """Opening everything several times at once opens it once: one close of each role leaves nothing behind."""
    async with trial.space() as space:
        keeper = await space.open()

        async def work() -> None:
            handle = await trial.harness.open(space.name)
            await handle.close()
            await asyncio.gather(*(storage.open() for _ in range(3) for storage in handle))
            await Stores(handle, trial.harness).task_queue.queues(now=T0)
            for storage in handle:
                await storage.close()

        for _ in range(3):
            await leaves_nothing(work, "Roles that were opened several times at once and closed")
        await keeper.task_queue.enqueue([spec("t")], now=T0)
        assert [grant.id for grant in await claim(keeper.task_queue, now=T0)] == ["t"]


async def _in_time(call: Callable[[], Awaitable[object]], moment: Moment) -> bool:
    async with asyncio.timeout(_PATIENCE):
        return await interrupted(call, moment)
