"""Opens the stores once for each event loop, and closes them no later than the loop."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

from omniq.app.forking import leave_to_parent
from omniq.errors import StoreClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from omniq.queue.connection import Connection

__all__ = ["Lifespans"]


class _Lifespan:
    """What is open in one event loop."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.connection: Connection | None = None
        self.holder: AsyncGenerator[Connection, None] | None = None


class Lifespans:
    """The connections of an application by event loop.

    Each is held by an asynchronous generator. `asyncio.run` finalizes these before it closes its loop, and so closes
    the stores even if nobody else did.

    Args:
        connect: Opens the stores in the running loop.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Lifespan] = weakref.WeakKeyDictionary()
        self._latest: Connection | None = None

    async def get(self) -> Connection:
        """Return what is open in the running loop, opening it if need be."""
        lifespan = self._by_loop.get(asyncio.get_running_loop())
        if lifespan is not None and lifespan.connection is not None:
            return lifespan.connection
        return await self._begin()

    def latest(self) -> Connection:
        """Return what was opened last and is still open.

        Raises:
            StoreClosedError: Nothing is open.
        """
        if self._latest is None:
            raise StoreClosedError(
                "The stores are not open. Call `await app.connect()` first, or use `async with app:`."
            )
        return self._latest

    async def end(self) -> None:
        """Close what is open in the running loop, if anything is; then it can be opened again."""
        lifespan = self._by_loop.get(asyncio.get_running_loop())
        if lifespan is None:
            return
        async with lifespan.lock:
            holder, lifespan.holder = lifespan.holder, None
            if holder is not None:
                await holder.aclose()

    def forget(self) -> None:
        """Leave everything to the parent process."""
        leave_to_parent(dict(self._by_loop), self._latest)
        self._by_loop = weakref.WeakKeyDictionary()
        self._latest = None

    async def _begin(self) -> Connection:
        lifespan = self._by_loop.setdefault(asyncio.get_running_loop(), _Lifespan())
        async with lifespan.lock:
            if lifespan.connection is None:
                lifespan.holder = self._hold(lifespan)
                await anext(lifespan.holder)
            assert lifespan.connection is not None  # noqa: S101 - set by the generator
            return lifespan.connection

    async def _hold(self, lifespan: _Lifespan) -> AsyncGenerator[Connection, None]:
        connection = lifespan.connection = self._latest = await self._connect()
        try:
            yield connection
        finally:
            lifespan.connection = None
            if self._latest is connection:
                self._latest = None
            await connection.close()
