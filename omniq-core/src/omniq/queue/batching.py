"""Makes one storage call out of the calls that strangers make at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Coalescer"]

T = TypeVar("T")
V = TypeVar("V")

_MOST = 1000


class Coalescer(Generic[T, V]):
    """Collects what is submitted while a write (or a read) is under way, and runs it as the next batch.

    There is no timer: what comes while nothing is under way starts in the same turn of the loop, together with all
    else that came in that turn. A caller that is cancelled before its batch starts is left out of it; one that is
    cancelled later does not disturb the batch.

    Args:
        run: Does a batch and returns one answer an item, in order. What it raises, every caller of the batch gets.
        apart: What to raise to the caller at fault only: if a batch of several raises it, each item runs alone.
        most: The most items of a batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[V]]],
        *,
        apart: type[Exception] | tuple[type[Exception], ...] = (),
        most: int = _MOST,
    ) -> None:
        self._run = run
        self._apart = apart
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[V]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> V:
        """Do the item in the next batch and return its answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V] = loop.create_future()
        self._waiting.append((item, future))
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._work(), name="omniq-batches")
            self._runner.add_done_callback(self._ended)
        return await future

    async def drain(self) -> None:
        """Wait until everything that was submitted is done."""
        while self._runner is not None and not self._runner.done():
            await asyncio.wait({self._runner})

    async def _work(self) -> None:
        batch: list[tuple[T, asyncio.Future[V]]] = []
        try:
            while self._waiting:
                batch = [entry for entry in self._waiting[: self._most] if not entry[1].done()]
                del self._waiting[: self._most]
                if batch:
                    await self._do(batch)
        finally:
            for _, future in batch:
                future.cancel()  # does nothing to those that have their answer

    def _ended(self, runner: asyncio.Task[None]) -> None:
        """Cancel what still waits, if the runner was cancelled (perhaps before it did anything)."""
        if self._runner is runner:
            self._runner = None
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()

    async def _do(self, batch: Sequence[tuple[T, asyncio.Future[V]]]) -> None:
        try:
            answers = await self._run([item for item, _ in batch])
            answered = list(zip(batch, answers, strict=True))
        except self._apart as error:
            if len(batch) == 1:
                _refuse(batch, error)
            else:
                for entry in batch:
                    await self._do([entry])
        except Exception as error:  # noqa: BLE001 - raised to every caller
            _refuse(batch, error)
        else:
            for (_, future), answer in answered:
                if not future.done():
                    future.set_result(answer)


def _refuse(batch: Sequence[tuple[T, asyncio.Future[V]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
