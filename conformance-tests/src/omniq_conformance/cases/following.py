"""Family 10: who follows the events gets them in time. These cases run on the store's own clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import attrs

from omniq.models.record import Completion
from omniq_conformance.cases.specimens import event, start
from omniq_conformance.cases.timing import allowed, in_time, measured
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omniq.models.event import Event
    from omniq_conformance.space import Stores

__all__: list[str] = []


async def _following(tail: AsyncIterator[Event], found: list[int], number: int) -> None:
    async for each in tail:
        found.append(each.version)
        if len(found) == number:
            return


@case("OQ-E-1001")
@measured
async def following_events(trial: Trial) -> None:
    """A tail yields every event from its position on, in order and once, soon after it was appended."""
    async with trial.space() as space:
        reader, writer = (await space.open()).events, (await space.open()).events
        await writer.append([event("t", 1), event("t", 2)])
        first = (await reader.read(limit=1))[0].position
        found: list[int] = []
        waiting = asyncio.ensure_future(_following(reader.tail(after=first), found, 12))
        for version in range(3, 13):
            await asyncio.sleep(0.003)
            await writer.append([event("t", version), event("t", 1)])
        async with asyncio.timeout(trial.profile.patience + reader.capabilities.max_wait_ms / 1000):
            while len(found) < 11 and not waiting.done():  # noqa: PLR2004, ASYNC110 - all but the last; nothing wakes
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
            started = time.perf_counter()
            await writer.append([event("t", 13)])
            await waiting
        assert found == list(range(2, 14))
        in_time(started, allowed(reader), "a tail yielded what was appended")


@case("OQ-E-1002")
async def following_from_now_on(trial: Trial) -> None:
    """A tail without a position begins with what is appended next."""
    async with trial.space() as space:
        reader, writer = (await space.open()).events, (await space.open()).events
        await writer.append([event("t", 1)])
        found: list[int] = []
        waiting = asyncio.ensure_future(_following(reader.tail(), found, 2))
        await asyncio.sleep(0.1)
        await writer.append([event("t", 2), event("t", 3)])
        async with asyncio.timeout(trial.profile.patience + reader.capabilities.max_wait_ms / 1000):
            await waiting
        assert found == [2, 3]


@case("OQ-E-1003", modes=(Mode.JOINED,))
async def following_a_queue(trial: Trial) -> None:
    """The events of a queue that has joined the event storage are followed like appended ones."""

    async def types(stores: Stores, number: int) -> list[str]:
        found: list[str] = []
        async for each in stores.events.tail():
            found.append(each.type.value)
            if len(found) == number:
                break
        return found

    async with trial.space() as space:
        stores, other = await space.open(), await space.open()
        waiting = asyncio.ensure_future(types(other, 3))
        await asyncio.sleep(0.1)
        grant = await start(stores.task_queue, "t")
        await stores.task_queue.complete([Completion("t", grant.token)])
        async with asyncio.timeout(trial.profile.patience + other.events.capabilities.max_wait_ms / 1000):
            assert await waiting == ["ENQUEUED", "STARTED", "COMPLETED"]


@case("OQ-E-1004")
async def a_filtered_tail(trial: Trial) -> None:
    """A tail with a filter yields what the filter means and passes over the rest."""
    from omniq.models.event import EventFilter

    async with trial.space() as space:
        events = (await space.open()).events
        await events.append([event("t", 1)])
        start_at = (await events.read())[0].position
        found: list[int] = []
        tail = events.tail(after=start_at, filter=EventFilter(task_id="t"))
        waiting = asyncio.ensure_future(_following(tail, found, 3))
        for version in range(2, 5):
            await events.append([attrs.evolve(event("u", version)), event("t", version)])
        async with asyncio.timeout(trial.profile.patience + events.capabilities.max_wait_ms / 1000):
            await waiting
        assert found == [2, 3, 4]


@case("OQ-E-1005")
@measured
async def many_tails(trial: Trial) -> None:
    """Of many tails none sleeps through an append, whenever it looked last: also at the moment of the commit."""
    async with trial.space() as space:
        reader, writer = (await space.open()).events, (await space.open()).events
        await writer.append([event("t", 1)])
        first = (await reader.read(limit=1))[0].position
        heads = [0] * 20
        tails = [asyncio.ensure_future(_head(reader.tail(after=first), heads, tail)) for tail in range(len(heads))]
        for version in range(2, 22):
            await asyncio.sleep(version / 10_000)
            await writer.append([event("t", version)])
            appended = time.perf_counter()
            while min(heads) < version:
                in_time(appended, allowed(reader), "every tail yielded what was appended")
                await asyncio.sleep(0.001)
        for tail in tails:
            tail.cancel()
        await asyncio.wait(tails)


async def _head(tail: AsyncIterator[Event], heads: list[int], number: int) -> None:
    async for each in tail:
        heads[number] = each.version
