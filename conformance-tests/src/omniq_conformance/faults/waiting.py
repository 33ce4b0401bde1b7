"""Waits over connections that break: begun again as often as they are lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from omniq_conformance.faults import disturbed
from omniq_conformance.outcomes import DivergenceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from omniq_conformance.space import Stores

__all__ = ["all_return", "follow", "until_it_returns"]

_PAUSE = 0.02


async def until_it_returns(call: Callable[[], Awaitable[Any]]) -> Any:
    """Wait again as often as the connection is lost."""
    while True:
        try:
            return await call()
        except disturbed.LOST:
            await asyncio.sleep(_PAUSE)


async def follow(stores: Stores, after: str | None, count: int) -> list[int]:
    """Return the versions of so many events after a position; goes on from where it was if the connection is lost."""
    seen: list[int] = []
    while len(seen) < count:
        with contextlib.suppress(*disturbed.LOST):
            async for each in stores.events.tail(after=after):
                after = each.position
                seen.append(each.version)
                if len(seen) == count:
                    break
        await asyncio.sleep(_PAUSE)
    return seen


async def all_return(waits: Mapping[str, asyncio.Future[Any]]) -> None:
    """Wait for waits that have to return now.

    Raises:
        DivergenceError: Some do not.
    """
    await asyncio.wait(waits.values(), timeout=disturbed.RECOVERY)
    stuck = [name for name, wait in waits.items() if not wait.done()]
    for wait in waits.values():
        wait.cancel()
    await asyncio.gather(*waits.values(), return_exceptions=True)
    if stuck:
        msg = f"Still waiting {disturbed.RECOVERY:g} s after what was waited for happened: {', '.join(stuck)}."
        raise DivergenceError(msg)
