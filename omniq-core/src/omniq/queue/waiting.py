"""Waits for many tasks with one storage call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from omniq.errors import ConnectionLostError, OutcomeUnknownError
from omniq.queue.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq.models.status import TaskStatus
    from omniq.storage.task_queue import TaskQueue

__all__ = ["DoneWaiter"]

_SLICE = 30.0


class DoneWaiter:
    """Tells each waiter when its task has ended; all waiters of a connection share one `TaskQueue.wait_done`.

    The call is made anew when a waiter comes. Only tasks that somebody waits for are in it, and none is made when
    nobody waits.

    Args:
        queue: An opened task queue.
    """

    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue
        self._futures: dict[str, set[asyncio.Future[TaskStatus | None]]] = {}
        self._call: asyncio.Task[Mapping[str, TaskStatus | None]] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def wait(self, task_id: str, timeout: float | None = None) -> TaskStatus | None:
        """Return the state in which the task ended, or None if its id is unknown.

        Args:
            task_id: Which task.
            timeout: Seconds; None is without limit.

        Raises:
            TimeoutError: The time ran out.
            StorageError: The store failed, or could not be reached for a while.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TaskStatus | None] = loop.create_future()
        known = self._futures.setdefault(task_id, set())
        known.add(future)
        if self._watcher is None or self._watcher.done():
            self._watcher = loop.create_task(self._watch(), name="omniq-waits")
            self._watcher.add_done_callback(self._ended)
        elif len(known) == 1:
            self._restart()
        try:
            async with asyncio.timeout(timeout):
                return await future
        finally:
            known.discard(future)
            if not known and self._futures.get(task_id) is known:
                del self._futures[task_id]
                if not self._futures:
                    self._restart()

    async def close(self) -> None:
        """End all waits; their callers are cancelled."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait({self._watcher})

    def _restart(self) -> None:
        if self._call is not None:
            self._call.cancel()

    async def _watch(self) -> None:
        patience = Patience()
        while self._futures:
            try:
                self._tell(await self._ask())
                patience = Patience()
            except (ConnectionLostError, OutcomeUnknownError) as error:
                if not await patience.allows():
                    self._fail(error)
            except Exception as error:  # noqa: BLE001 - raised to every waiter
                self._fail(error)

    def _ended(self, watcher: asyncio.Task[None]) -> None:
        """Cancel the waits that are left, if the watcher was cancelled (perhaps before it did anything)."""
        if self._watcher is watcher:
            self._watcher = None
            for futures in self._futures.values():
                for future in futures:
                    future.cancel()

    async def _ask(self) -> Mapping[str, TaskStatus | None]:
        """Ask once; nothing if a waiter came or the last one went meanwhile."""
        call = asyncio.get_running_loop().create_task(self._wait_done(list(self._futures)))
        self._call = call
        try:
            await asyncio.wait({call})
        finally:
            self._call = None
            if not call.done():
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
        return {} if call.cancelled() else call.result()

    async def _wait_done(self, ids: list[str]) -> Mapping[str, TaskStatus | None]:
        return await self._queue.wait_done(ids, _SLICE)

    def _tell(self, done: Mapping[str, TaskStatus | None]) -> None:
        for task_id, status in done.items():
            for future in self._futures.pop(task_id, ()):
                if not future.done():
                    future.set_result(status)

    def _fail(self, error: Exception) -> None:
        for futures in self._futures.values():
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        self._futures.clear()
