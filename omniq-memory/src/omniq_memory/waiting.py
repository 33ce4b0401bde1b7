"""Waking who waits, from any thread and event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Board", "Waiter"]


class Waiter:
    """One sleeping coroutine. Made in its event loop; may be woken from anywhere."""

    __slots__ = ("_future", "_loop", "_thread", "_woken")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.get_ident()
        self._woken = False

    def wake(self) -> None:
        """End the sleep; harmless when it has ended."""
        if self._woken:
            return
        self._woken = True
        if threading.get_ident() == self._thread:
            self._finish()
        else:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody sleeps there any more
                self._loop.call_soon_threadsafe(self._finish)

    async def sleep(self, timeout: float | None) -> None:
        """Sleep until woken, or for `timeout` seconds; a wake-up that came before is not lost."""
        timer = None if timeout is None else self._loop.call_later(timeout, self._finish)
        try:
            await self._future
        finally:
            if timer is not None:
                timer.cancel()

    def _finish(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class Board:
    """Who waits for which key. Used under the lock of the state."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: dict[str, set[Waiter]] = {}

    def add(self, keys: Iterable[str], waiter: Waiter) -> None:
        """Have the waiter woken by any of these keys."""
        for key in keys:
            self.waiting.setdefault(key, set()).add(waiter)

    def remove(self, keys: Iterable[str], waiter: Waiter) -> None:
        """Forget the waiter."""
        for key in keys:
            waiters = self.waiting.get(key)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self.waiting[key]

    def wake(self, key: str) -> None:
        """Wake everyone who waits for the key."""
        for waiter in self.waiting.pop(key, ()):
            waiter.wake()
