"""What the four roles on files share: a handle on a store of this process."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from omniq.errors import StoreClosedError
from omniq.storage.role import Storage
from omniq_file.jobs import Job, Waiter
from omniq_file.store import Store, acquire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omniq.storage.capabilities import Capabilities
    from omniq_file.machine.transaction import Transaction
    from omniq_file.options import FileOptions

__all__ = ["FileRole"]

T = TypeVar("T")


class FileRole(Storage):
    """Opens and closes; the roles add their operations.

    Args:
        options: Which store.
    """

    def __init__(self, options: FileOptions) -> None:
        self._options = options
        self._store: Store | None = None
        self._waiters: set[Waiter] = set()

    async def open(self) -> None:
        if self._store is not None and not self._store.engine.is_foreign:
            return
        store = acquire(self._options)
        try:
            await store.wait_until_open()
        except BaseException:
            await store.release()
            raise
        self._store = store

    async def close(self) -> None:
        store, self._store = self._store, None
        for waiter in self._waiters:
            waiter.wake()
        if store is not None and not store.engine.is_foreign:
            await store.release()

    async def time(self) -> int:
        """Return the store's clock in milliseconds since the epoch, UTC."""
        return self._check_open().engine.now()

    @property
    def capabilities(self) -> Capabilities:
        return self._check_open().capabilities

    @property
    def store(self) -> Store:
        """The store, while the role is open."""
        return self._check_open()

    def _check_open(self) -> Store:
        if self._store is None or self._store.engine.is_foreign:
            where = self._options.fsspec_uri or self._options.base_dir
            reason = "is not open" if self._store is None else "was opened in another process, before a fork"
            raise StoreClosedError(f"The file store {where} {reason}; open it here before using it.")
        return self._store

    async def _ask(
        self,
        run: Callable[[Transaction], T],
        *,
        now: int | None = None,
        writes: bool = False,
        blobs: tuple[str, ...] = (),
    ) -> T:
        """Run a function in the engine's thread.

        Args:
            run: Decides and has effects, or reads; may be run again if somebody else was faster.
            now: The time of the operation; None is the store's clock.
            writes: Whether it may have effects.
            blobs: Names of blobs that were written for it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._check_open().engine.submit(Job(run, future, loop, now, writes, blobs))
        return await future

    async def _until(
        self, keys: Iterable[str], look: Callable[[Transaction], tuple[T | None, float]], timeout: float
    ) -> T | None:
        """Call `look` now and whenever something of these keys happened, until it has an answer.

        Args:
            keys: What to be woken by; see `Waiter`.
            look: Returns the answer, or None and after how many seconds to look again all the same.
            timeout: Seconds.

        Returns:
            The answer, or None if the time ran out or this handle was closed.
        """
        deadline = time.monotonic() + timeout
        loop = asyncio.get_running_loop()
        while True:
            engine, waiter = self._check_open().engine, Waiter(keys)

            def run(tx: Transaction) -> tuple[T | None, float]:
                answer, patience = look(tx)
                if answer is None:
                    engine.watch(waiter)  # noqa: B023 - it runs before the next one is made
                return answer, patience

            self._waiters.add(waiter)
            try:
                answer, patience = await self._ask(run)
                left = deadline - time.monotonic()
                if answer is not None or left <= 0:
                    return answer
                await waiter.sleep(max(0.0, min(patience, left)))
            finally:
                self._waiters.discard(waiter)
                engine.forget(waiter, loop)
            if self._store is None:
                return None
