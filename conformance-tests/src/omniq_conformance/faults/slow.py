"""What a process does on whose disk everything takes long."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from omniq.models.record import Completion
from omniq_conformance.cases.specimens import claim, event, spec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omniq.models.event import Event
    from omniq_conformance.faults.ledger import Ledger
    from omniq_conformance.space import Space, Stores

__all__ = ["follow", "give_up", "open_at_once"]

_WAITERS, _ROUNDS = 8, 4
_SLACK = 2.0
"""How many seconds a busy machine may add to the longest poll."""
_CLAIMS = 24
_APART = 0.0013
"""Between the beginnings of waits, in seconds, so that they look at different moments."""


async def open_at_once(space: Space, ledger: Ledger, handles: int, apart: float) -> None:
    """Open a new namespace by several handles at once, and use each; note `used` or `refused` and why.

    Args:
        space: It.
        ledger: Where to note it.
        handles: How many.
        apart: Seconds between the beginnings of two openings.
    """
    await asyncio.gather(*(_open(space, ledger, number, number * apart) for number in range(handles)))


async def _open(space: Space, ledger: Ledger, number: int, after: float) -> None:
    await asyncio.sleep(after)
    try:
        stores = await space.harness.open(space.name)
    except Exception as error:  # noqa: BLE001 - whatever it is, it decides the verdict
        ledger.note("refused", f"{type(error).__name__}: {error}")
        return
    if stores.task_queue is not None:
        await stores.task_queue.enqueue([spec(f"t{number}")])
    await stores.close()
    ledger.note("used", number)


async def follow(space: Space, ledger: Ledger) -> None:
    """Append events and complete tasks, and note `woken` and for what, or `asleep`, through what, how many."""
    stores = await space.open()
    if stores.opened.events is not None:
        await _follow_events(stores, ledger)
    if stores.opened.task_queue is not None:
        await _follow_tasks(stores, ledger)
    await space.close()


async def _follow_events(stores: Stores, ledger: Ledger) -> None:
    heads = [0] * _WAITERS
    tails: list[asyncio.Future[None]] = []
    for number in range(_WAITERS):
        tails.append(asyncio.ensure_future(_head(stores.events.tail(), heads, number)))
        await asyncio.sleep(_APART)
    await asyncio.sleep(0.1)  # all of them look at the end of the log
    for version in range(1, _ROUNDS + 1):
        await stores.events.append([event("t", version)])
        until = time.monotonic() + stores.events.capabilities.max_wait_ms / 1000 + _SLACK
        while min(heads) < version and time.monotonic() < until:  # noqa: ASYNC110 - nothing wakes
            await asyncio.sleep(0.001)
        if not _told(ledger, f"event {version}", sum(head < version for head in heads)):
            break
    for tail in tails:
        tail.cancel()
    await asyncio.wait(tails)


async def _head(tail: AsyncIterator[Event], heads: list[int], number: int) -> None:
    async for each in tail:
        heads[number] = each.version


async def _follow_tasks(stores: Stores, ledger: Ledger) -> None:
    queue = stores.task_queue
    longest = queue.capabilities.max_wait_ms / 1000 + _SLACK
    for number in range(_ROUNDS):
        task_id = f"t{number}"
        await queue.enqueue([spec(task_id)])
        (grant,) = await claim(queue, nonce=number + 1)
        waits: list[asyncio.Future[object]] = []
        for _ in range(_WAITERS):
            waits.append(asyncio.ensure_future(queue.wait_done([task_id], 10 * longest)))
            await asyncio.sleep(_APART)
        await queue.complete([Completion(task_id, grant.token)])
        _, asleep = await asyncio.wait(waits, timeout=longest)
        for wait in asleep:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        if not _told(ledger, f"the end of {task_id}", len(asleep)):
            break


async def give_up(space: Space, ledger: Ledger) -> None:
    """Claim, stop waiting for the answer a little later each time, and ask what is held.

    Notes `answered`, `held`, `untouched` (it could be claimed again) or `lost`, and after how many milliseconds it was.
    """
    stores = await space.open()
    queue = stores.task_queue
    for number in range(_CLAIMS):
        name = f"q{number}"
        await queue.enqueue([spec(f"t{number}", name)])
        claiming = asyncio.ensure_future(claim(queue, name, nonce=number + 1))
        await asyncio.sleep(number * _APART / 2)
        claiming.cancel()
        await asyncio.wait((claiming,))
        if not claiming.cancelled():
            what = "answered"
        elif await queue.held("worker", f"{number + 1:016x}"):
            what = "held"
        else:
            what = "untouched" if await claim(queue, name, nonce=_CLAIMS + number) else "lost"
        ledger.note(what, round(number * _APART * 500, 2))
    await space.close()


def _told(ledger: Ledger, what: str, asleep: int) -> bool:
    """Note whether all woke, and return it."""
    ledger.note("asleep", what, asleep) if asleep else ledger.note("woken", what)
    return not asleep
