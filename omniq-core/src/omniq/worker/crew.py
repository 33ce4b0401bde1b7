"""The background loops of a worker: started together, watched, and ended together."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Crew"]

_log = logging.getLogger(__name__)

_CANCEL_AGAIN_S = 1.0


class Crew:
    """A worker's own tasks.

    Not a `TaskGroup`, which cancels all of its tasks when one fails: the one that records outcomes has to go on then.

    Args:
        failed: Called with the error of a loop that failed; loops never should.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, name: str, loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a loop."""
        task = asyncio.get_running_loop().create_task(loop, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def dismiss(self) -> None:
        """Cancel what still runs, and wait for it."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            # Again after a while, because a store may swallow a cancellation.
            await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_S)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _log.critical("the worker's %s loop failed", task.get_name(), exc_info=error)
            self._failed(error)
