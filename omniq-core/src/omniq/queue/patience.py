"""How long a store that cannot be reached is asked again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from omniq.errors import ConnectionLostError, OutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Patience", "persist"]

T = TypeVar("T")

_LIMIT = 20.0
_FIRST = 0.05
_LONGEST = 2.0


class Patience:
    """Waits longer and longer between attempts, for a limited time.

    Args:
        limit: Seconds from the first failure on.
    """

    __slots__ = ("_delay", "_limit", "_until")

    def __init__(self, limit: float = _LIMIT) -> None:
        self._limit = limit
        self._delay = _FIRST
        self._until: float | None = None

    async def allows(self) -> bool:
        """Wait before the next attempt and return True; return False at once when the time is up."""
        loop = asyncio.get_running_loop()
        if self._until is None:
            self._until = loop.time() + self._limit
        elif loop.time() >= self._until:
            return False
        await asyncio.sleep(self._delay)
        self._delay = min(self._delay * 2, _LONGEST)
        return True


async def persist(attempt: Callable[[], Awaitable[T]], limit: float = _LIMIT) -> T:
    """Repeat an operation that may be repeated until the store can be reached, for a limited time.

    Args:
        attempt: Makes the call; repeating it must be harmless.
        limit: Seconds from the first failure on.

    Raises:
        ConnectionLostError: The store could not be reached all the time.
        OutcomeUnknownError: The reply of the last attempt was lost.
    """
    patience = Patience(limit)
    while True:
        try:
            return await attempt()
        except (ConnectionLostError, OutcomeUnknownError):
            if not await patience.allows():
                raise
