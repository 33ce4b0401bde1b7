"""What the engine is asked to do, and how the answer comes back to whoever asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from omniq_file.machine.transaction import Transaction

__all__ = ["Board", "Job", "Outcome", "Waiter", "resolve"]


class Job(NamedTuple):
    """One operation.

    Attributes:
        run: Decides or reads; may be run again if somebody else was faster.
        future: Of the loop, or for a thread that waits for it.
        loop: The event loop of the caller; None if it is a thread.
        now: The time of the operation; None is the store's clock.
        writes: Whether it may have effects.
        blobs: Blobs that were written for it, and are of no use unless its effects name them.
    """

    run: Callable[[Transaction], Any]
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None
    now: int | None = None
    writes: bool = False
    blobs: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What became of a job."""

    job: Job
    value: Any = None
    error: BaseException | None = None


def resolve(outcomes: Iterable[Outcome]) -> None:
    """Answer, each loop in its own thread."""
    by_loop: defaultdict[asyncio.AbstractEventLoop | None, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_loop[outcome.job.loop].append(outcome)
    for loop, mine in by_loop.items():
        if loop is None:
            _settle(mine)
        else:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, mine)


def _settle(outcomes: list[Outcome]) -> None:
    for job, value, error in outcomes:
        if job.future.done():  # its caller was cancelled; what it asked for is done all the same
            continue
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)


class Waiter:
    """One sleeping coroutine; made in its event loop, may be woken from any thread.

    Attributes:
        keys: What it waits for: `w` and the name of a queue, `d` and the id of a task, or `e`.
    """

    __slots__ = ("_future", "_loop", "keys")

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> None:
        """End the sleep; harmless when it has ended."""
        with contextlib.suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._finish)

    async def sleep(self, seconds: float) -> None:
        """Sleep until woken, or for so many seconds; a wake-up that came before is not lost."""
        timer = self._loop.call_later(seconds, self._finish)
        try:
            await self._future
        finally:
            timer.cancel()

    def _finish(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class Board:
    """Who waits for what. Used by the engine's thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[Waiter]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def kinds(self) -> set[str]:
        """Return the first letters of what is waited for."""
        return {key[0] for key in self._waiting}

    def add(self, waiter: Waiter) -> None:
        """Have a waiter woken by any of its keys."""
        for key in waiter.keys:
            self._waiting.setdefault(key, set()).add(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Forget a waiter."""
        for key in waiter.keys:
            waiters = self._waiting.get(key)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[key]

    def wake(self, key: str) -> None:
        """Wake and forget everyone who waits for the key."""
        for waiter in list(self._waiting.get(key, ())):
            self.remove(waiter)
            waiter.wake()

    def wake_all(self) -> None:
        """Wake and forget everyone."""
        for key in list(self._waiting):
            self.wake(key)
