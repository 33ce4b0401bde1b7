"""Many who wait look at the same things at the same moments: one statement answers all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from omniq.errors import StoreClosedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

__all__ = ["Looks"]

V = TypeVar("V")

_CLOSED = "This storage was closed. Open it first: async with app, or await storage.open()."


class Looks(Generic[V]):
    """Collects keys while a statement is on its way, and asks for all of them with the next one.

    Args:
        ask: Returns what is found of the keys.
    """

    def __init__(self, ask: Callable[[list[str]], Awaitable[Mapping[str, V]]]) -> None:
        self._ask = ask
        self._is_closed = False
        self._next: tuple[set[str], asyncio.Task[Mapping[str, V]]] | None = None
        self._last: asyncio.Task[Mapping[str, V]] | None = None

    def open(self) -> None:
        """Let looks begin again."""
        self._is_closed = False

    async def look(self, keys: Iterable[str]) -> Mapping[str, V]:
        """Return what is found of these keys, and maybe of others, at a moment after the call.

        A caller that is cancelled does not disturb the others.

        Raises:
            StoreClosedError: It was closed meanwhile.
        """
        if self._is_closed:
            raise StoreClosedError(_CLOSED)
        if self._next is None:
            wanted: set[str] = set()
            self._last = asyncio.get_running_loop().create_task(self._run(wanted, self._last))
            self._last.add_done_callback(_retrieve)
            self._next = (wanted, self._last)
        wanted, task = self._next
        wanted.update(keys)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self._is_closed:
                raise StoreClosedError(_CLOSED) from None
            raise

    async def close(self) -> None:
        """End what is on its way; who waits for it is told."""
        self._is_closed = True
        while self._last is not None and not self._last.done():
            last = self._last
            last.cancel()
            await asyncio.wait({last})
        self._next = self._last = None

    async def _run(self, wanted: set[str], before: asyncio.Task[Mapping[str, V]] | None) -> Mapping[str, V]:
        if before is not None and not before.done():
            await asyncio.wait({before})
        self._next = None  # who comes now is told by the next one
        return await self._ask(list(wanted))


def _retrieve(task: asyncio.Task[Mapping[str, V]]) -> None:
    if not task.cancelled():
        task.exception()
