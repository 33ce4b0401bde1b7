"""Cancels a call at a chosen one of the moments at which it can be cancelled: whenever it waits for something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

import attrs

__all__ = ["MOMENTS", "Moment", "interrupted"]

_MOST = 200
"""A call that waits more often is not followed further."""


@attrs.frozen
class Moment:
    """When to cancel a call.

    Attributes:
        wait: When it waits for the so-manieth time, counted from 0; -1 is before it began.
        late: When what it waits for has just happened, and it does not know yet; else as soon as it waits.
    """

    wait: int
    late: bool = False

    def __str__(self) -> str:
        if self.wait < 0:
            return "before it began"
        return f"{'after' if self.late else 'at'} wait {self.wait}"


MOMENTS = (Moment(-1), *(Moment(wait, late=late) for wait in range(_MOST) for late in (False, True)))
"""Every moment, in order; a call that was over before one of them is over before all that follow."""


@attrs.define
class _Watched:
    """Awaits a call, and has its task cancelled at the moment."""

    call: Callable[[], Awaitable[object]]
    moment: Moment
    reached: bool = False

    def __await__(self) -> Generator[Any, Any, None]:
        iterator = self.call().__await__()
        go_on: Callable[[], Any] = partial(next, iterator)
        waits = 0
        while True:
            try:
                waited = go_on()
            except StopIteration:
                return
            if waits == self.moment.wait:
                self._cancel(waited)
            waits += 1
            try:
                sent = yield waited
            except BaseException as error:  # noqa: BLE001 - it goes to the call
                go_on = partial(iterator.throw, error)
            else:
                go_on = partial(iterator.send, sent)

    def _cancel(self, waited: asyncio.Future[Any] | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.reached = True
        if self.moment.late and waited is not None:
            # Added before the task's own callback, so that the task is cancelled before it goes on.
            waited.add_done_callback(lambda _: task.cancel())
        else:
            asyncio.get_running_loop().call_soon(task.cancel)


async def interrupted(call: Callable[[], Awaitable[object]], moment: Moment) -> bool:
    """Make a call, cancelled at a moment.

    Returns:
        Whether the moment came before the call was over.
    """
    watched = _Watched(call, moment)

    async def run() -> None:
        await watched

    task = asyncio.ensure_future(run())
    if moment.wait < 0:
        task.cancel()
        watched.reached = True
    await asyncio.wait((task,))
    if not task.cancelled():
        await task
    return watched.reached
