"""What the four roles on LMDB share: a handle on a store, whose transactions run in the store's threads."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from omniq.errors import StoreClosedError
from omniq.storage.role import Storage
from omniq_lmdb.store import Store, Transaction, acquire, host_time, release

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from omniq.storage.capabilities import Capabilities
    from omniq_lmdb.options import LmdbOptions

__all__ = ["LmdbRole"]

T = TypeVar("T")

_POLL = 0.01


class LmdbRole(Storage):
    """Opens and closes; the roles add their operations."""

    def __init__(self, options: LmdbOptions) -> None:
        self._options = options
        self._store: Store | None = None

    async def open(self) -> None:
        # Without an await, as in close(): no half of it is left where somebody cancels it.
        if self._store is None or self._store.foreign:
            self._store = acquire(self._options)

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            release(store)

    async def time(self) -> int:
        """Return the store's clock in milliseconds since the epoch, UTC."""
        self._check_open()
        return host_time()

    @property
    def capabilities(self) -> Capabilities:
        return self._check_open().capabilities

    def _check_open(self) -> Store:
        if self._store is None or self._store.foreign:
            reason = "is not open" if self._store is None else "was opened in another process, before a fork"
            raise StoreClosedError(f"The LMDB store {self._options.path} {reason}; open it here before using it.")
        return self._store

    async def _read(self, run: Callable[[Transaction], T]) -> T:
        return await self._transact(run, write=False)

    async def _write(self, run: Callable[[Transaction], T]) -> T:
        return await self._transact(run, write=True)

    async def _transact(self, run: Callable[[Transaction], T], *, write: bool) -> T:
        store = self._check_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(store.thread(write=write), lambda: store.transact(run, write=write))

    async def _until(self, look: Callable[[], Awaitable[tuple[T | None, float]]], timeout: float) -> T | None:
        """Call `look` now and after every commit of any process, until it has an answer.

        Args:
            look: Returns the answer, or None and after how many seconds to look again although nothing was written.
            timeout: Seconds.

        Returns:
            The answer, or None if the time ran out or this handle was closed.
        """
        deadline = time.monotonic() + timeout
        while self._store is not None:
            seen = await self._read(lambda tx: tx.snapshot)
            answer, patience = await look()
            now = time.monotonic()
            if answer is not None or now >= deadline:
                return answer
            await self._sleep(min(patience, deadline - now), seen)
        return None

    async def _sleep(self, seconds: float, seen: int) -> None:
        """Sleep until there is another commit than the one that was seen, or for so many seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _POLL))
            if self._store is None or self._store.commits() != seen:
                return
