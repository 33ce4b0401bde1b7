"""Family 03, numbers 350 to 369: connections that break; nothing is lost, done twice or waited for without end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from omniq.errors import ConnectionLostError, OutcomeUnknownError
from omniq_conformance.cases.specimens import claim, event, outcome, spec
from omniq_conformance.faults import disturbed
from omniq_conformance.faults.disturbed import (
    Counts,
    Disturbance,
    bounded,
    expectations,
    persist,
)
from omniq_conformance.faults.proxy import Damage, Direction, Plan, Proxy
from omniq_conformance.faults.reaching import handle_through, reached, without
from omniq_conformance.faults.waiting import all_return, follow, until_it_returns
from omniq_conformance.outcomes import DivergenceError, VacuousError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from omniq_conformance.faults.disturbed import Expected
    from omniq_conformance.space import Stores

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)


# Breaking at every chunk


@case("OQ-X-0350", modes=BOTH)
async def cut_connections(trial: Trial) -> None:
    """A connection that is reset at any moment of any operation leaves it applied once or not, and says which."""
    await _walk(trial, Damage.CUT)


@case("OQ-X-0351", modes=BOTH)
async def half_open_connections(trial: Trial) -> None:
    """A connection of which one direction is closed at any moment leaves an operation applied once or not at all."""
    await _walk(trial, Damage.CLOSE)


async def _walk(trial: Trial, damage: Damage) -> None:
    """Break the connection at the first chunk of every operation, then at the second one, until all go through."""
    url = await reached(trial)
    steps = await _steps(trial)
    with Proxy(url) as proxy:
        for direction in Direction:
            counts, chunk, broken = Counts(), 0, -1
            while broken < counts.broken:
                chunk, broken = chunk + 1, counts.broken
                plan = Plan(damage=damage, direction=direction, chunk=chunk)
                await _disturb(trial, proxy, plan, steps, counts)
            trial.evidence[direction] = {"operations": len(steps), "chunks": chunk - 1, **attrs.asdict(counts)}
            if not counts.broken:
                msg = f"The proxy saw nothing go {direction}, and could break no connection."
                raise VacuousError(msg)


async def _steps(trial: Trial) -> Sequence[Expected]:
    async with trial.space() as space:
        absent = without(trial, await space.open())
    return (await expectations(trial.mode, absent))[: trial.profile.cuts]


async def _disturb(trial: Trial, proxy: Proxy, plan: Plan, steps: Sequence[Expected], counts: Counts) -> None:
    """Run the scenario in a fresh namespace through the proxy; the plan begins anew with each operation."""
    async with trial.space() as space:
        direct = await space.open()
        proxy.heal()
        async with handle_through(proxy, space) as stores:
            try:
                await Disturbance(proxy, stores, direct, counts).run(steps, plan)
            except DivergenceError as error:
                msg = f"With {plan}: {error}"
                raise DivergenceError(msg) from error


@case("OQ-X-0352", modes=BOTH)
async def single_bytes(trial: Trial) -> None:
    """Bytes that come one at a time, or late, change no answer."""
    url = await reached(trial)
    steps = await _steps(trial)
    with Proxy(url) as proxy:
        for plan in (Plan(slice_size=1), Plan(delay=0.002)):
            await _disturb(trial, proxy, plan, steps, Counts())


# Stalling


_Call = tuple["Callable[[Stores], Awaitable[Any]]", "Callable[[Stores], Awaitable[bool]]"]


async def _has_task(stores: Stores) -> bool:
    return await stores.task_queue.get(["new"]) != [None]


async def _is_granted(stores: Stores) -> bool:
    (record,) = await stores.task_queue.get(["old"])
    return record is not None and record.epoch > 0


async def _has_result(stores: Stores) -> bool:
    return await stores.results.get(["r"]) != [None]


async def _has_event(stores: Stores) -> bool:
    return await stores.events.read() != []


async def _nothing(stores: Stores) -> bool:
    del stores
    return False


_CALLS: Mapping[str, _Call] = {
    "enqueue": (lambda stores: stores.task_queue.enqueue([spec("new", "b")]), _has_task),
    "claim": (lambda stores: claim(stores.task_queue), _is_granted),
    "list": (lambda stores: stores.task_queue.list(), _nothing),
    "put": (lambda stores: stores.results.put([outcome("r")]), _has_result),
    "append": (lambda stores: stores.events.append([event("v", 1)]), _has_event),
    "due": (lambda stores: stores.schedules.due(), _nothing),
}
"""Calls, and what tells that they were applied."""


@case("OQ-X-0353")
async def stalled_connections(trial: Trial) -> None:
    """An operation whose connection says nothing any more ends in bounded time with an error that tells the truth."""
    url = await reached(trial)
    ends = await asyncio.gather(*(_stall(trial, url, direction) for direction in Direction))
    trial.evidence.update(dict(zip(Direction, ends, strict=True)))


async def _stall(trial: Trial, url: str, direction: Direction) -> dict[str, str]:
    """Make each call on a handle of its own; return how they ended."""
    async with trial.space() as space, contextlib.AsyncExitStack() as stack:
        direct = await space.open()
        await direct.task_queue.enqueue([spec("old")])
        proxy = stack.enter_context(Proxy(url))
        handles = {name: await stack.enter_async_context(handle_through(proxy, space)) for name in _CALLS}
        proxy.arm(Plan(damage=Damage.STALL, direction=direction))
        try:
            ends = await asyncio.gather(*(_end(name, handles[name], direct) for name in _CALLS))
            if not proxy.has_struck:
                msg = f"Nothing went {direction}, so nothing was held back."
                raise VacuousError(msg)
        finally:
            proxy.heal()
        await asyncio.gather(*(persist(partial(_CALLS[name][0], handles[name]), name) for name in _CALLS))
        return dict(zip(_CALLS, ends, strict=True))


async def _end(name: str, stores: Stores, direct: Stores) -> str:
    call, was_applied = _CALLS[name]
    try:
        await bounded(call(stores), name)
    except OutcomeUnknownError:
        return "unknown"
    except ConnectionLostError as error:
        if await was_applied(direct):
            msg = f"{name} raised {error!r}, so it was certainly not applied, but it was."
            raise DivergenceError(msg) from error
        return "lost"
    msg = f"{name} answered, though nothing came through to the server and back."
    raise DivergenceError(msg)


# Opening, waiting and closing


@case("OQ-X-0354")
async def nobody_there(trial: Trial) -> None:
    """Opening a store that cannot be reached raises ConnectionLostError in bounded time."""
    url = await reached(trial)
    with Proxy(url) as proxy:
        gone = proxy.url
    space = trial.space()
    try:
        opened = await bounded(trial.harness.at(gone).open(space.name), "open")
    except ConnectionLostError:
        return
    except OutcomeUnknownError as error:
        msg = f"open raised {error!r}; it changes nothing, and has to say that the store cannot be reached."
        raise DivergenceError(msg) from error
    await opened.close()
    msg = "open did not mind that there is no server."
    raise DivergenceError(msg)


@case("OQ-X-0355")
async def nothing_is_left_of_broken_connections(trial: Trial) -> None:
    """Connections that broke are closed: after twenty of them as many are open as before, and none after closing."""
    url = await reached(trial)
    async with trial.space() as space:
        await space.open()
        with Proxy(url) as proxy:
            async with handle_through(proxy, space) as stores:
                await stores.task_queue.enqueue([spec("first")])
                before = {"connections": proxy.open_connections, "files": _files()}
                for number in range(20):
                    proxy.arm(Plan(damage=(Damage.CLOSE, Damage.CUT)[number % 2], direction=Direction.TO_CLIENT))
                    await persist(partial(stores.task_queue.enqueue, [spec(f"t{number}")]), "enqueue")
                trial.evidence["accepted"] = proxy.accepted
                await _settles(lambda: {"connections": proxy.open_connections, "files": _files()}, before)
            await _settles(lambda: {"connections": proxy.open_connections}, {"connections": 0})
            if trial.evidence["accepted"] <= before["connections"]:
                msg = "The handle never had to connect again."
                raise VacuousError(msg)


def _files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def _settles(count: Callable[[], dict[str, int]], most: dict[str, int]) -> None:
    """Wait until no more are open than before."""
    until = time.monotonic() + disturbed.RECOVERY
    while over := {name: number for name, number in count().items() if number > most[name]}:
        if time.monotonic() > until:
            msg = f"Open are {over}; there should be no more than {most}."
            raise DivergenceError(msg)
        await asyncio.sleep(0.02)


@case("OQ-X-0356")
async def waiters_of_broken_connections(trial: Trial) -> None:
    """Who waits on a connection that breaks is woken by what happens later, or told to wait again."""
    url = await reached(trial)
    async with trial.space() as space:
        direct = await space.open()
        await direct.task_queue.enqueue([spec("t", "b")])
        await direct.events.append([event("v", 1)])
        after = (await direct.events.read())[-1].position
        with Proxy(url) as proxy:
            async with handle_through(proxy, space) as stores:
                waits = {
                    "wait": asyncio.ensure_future(until_it_returns(lambda: stores.task_queue.wait(["a"], 60))),
                    "wait_done": asyncio.ensure_future(
                        until_it_returns(lambda: stores.task_queue.wait_done(["t"], 60))
                    ),
                    "tail": asyncio.ensure_future(follow(stores, after, 3)),
                }
                await asyncio.sleep(0.3)
                proxy.sever()
                await direct.task_queue.enqueue([spec("w")])
                await direct.task_queue.cancel(["t"])
                await direct.events.append([event("v", 2), event("v", 3)])
                await direct.events.append([event("v", 4)])
                await all_return(waits)
                assert waits["tail"].result() == [2, 3, 4]
