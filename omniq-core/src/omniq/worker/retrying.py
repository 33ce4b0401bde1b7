"""Repeats calls to a store that cannot be reached, and tells once when it comes and goes."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, TypeVar

from omniq.errors import ConnectionLostError, OutcomeUnknownError, StorageError

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["TRANSIENT", "Backoff", "Contact", "persist", "repeat"]

TRANSIENT = (ConnectionLostError, OutcomeUnknownError)

T = TypeVar("T")
R = TypeVar("R")


class Backoff:
    """Delays that double with every failure in a row, with jitter.

    Args:
        least: The first delay in seconds.
        most: The longest delay in seconds.
    """

    __slots__ = ("_least", "_most", "_next")

    def __init__(self, least: float = 0.02, most: float = 5.0) -> None:
        self._least = self._next = least
        self._most = most

    def delay(self) -> float:
        """Return how long to wait before the next try, in seconds."""
        delay, self._next = self._next, min(self._next * 2, self._most)
        return delay * random.uniform(0.5, 1)  # noqa: S311 - spreads retries, protects nothing

    def reset(self) -> None:
        """Start again with the first delay."""
        self._next = self._least


class Contact:
    """Whether a store can be reached; logs when that changes, and only then.

    Args:
        what: What cannot go on without it, such as `claiming tasks`.
        logger: Where to log.
    """

    __slots__ = ("_logger", "_what", "lost_at")

    def __init__(self, what: str, logger: logging.Logger) -> None:
        self._what = what
        self._logger = logger
        self.lost_at: float | None = None

    def lost(self, error: BaseException) -> None:
        """Note a failed call."""
        if self.lost_at is None:
            self.lost_at = time.monotonic()
            # Anything but a StorageError is somebody's bug, so it comes with its traceback.
            trace = None if isinstance(error, StorageError | TimeoutError) else error
            name = type(error).__name__
            self._logger.warning("%s: the store fails (%s: %s); trying on", self._what, name, error, exc_info=trace)

    def found(self) -> None:
        """Note a call that succeeded."""
        if self.lost_at is not None:
            away, self.lost_at = time.monotonic() - self.lost_at, None
            self._logger.warning("%s: the store works again after %.1f s", self._what, away)


async def persist(
    call: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
    items: Sequence[T],
    *,
    patience: float,
    contact: Contact,
) -> Sequence[R | Exception]:
    """Make a batch call that may be repeated, until it succeeds or patience ends.

    A batch that is refused for another reason than the connection is repeated item by item, so that one item that
    cannot be stored does not take the others with it.

    Args:
        call: The call; repeating it must be harmless.
        items: Its batch.
        patience: For how many seconds it is repeated while the store cannot be reached.
        contact: Told of failures and successes.

    Returns:
        The reply for each item, or the exception that it got.
    """
    give_up_at = time.monotonic() + patience
    backoff = Backoff()
    while True:
        try:
            replies = await call(items)
        except TRANSIENT as error:
            contact.lost(error)
            delay = backoff.delay()
            if time.monotonic() + delay > give_up_at:
                return [error] * len(items)
            await asyncio.sleep(delay)
        except Exception as error:  # noqa: BLE001 - each item gets its own answer, and the caller logs it
            if len(items) == 1:
                return [error]
            singles: list[R | Exception] = []
            for item in items:
                left = max(0.0, give_up_at - time.monotonic())
                singles.extend(await persist(call, [item], patience=left, contact=contact))
            return singles
        else:
            contact.found()
            return replies


async def repeat(step: Callable[[], Awaitable[float]], contact: Contact) -> None:
    """Make a step again and again until cancelled, whatever happens in it.

    Args:
        step: Returns for how many seconds to pause.
        contact: Told of failures and successes.
    """
    backoff = Backoff()
    while True:
        try:
            pause = await step()
        except Exception as error:  # noqa: BLE001 - upkeep goes on, and a bug in it does not stop the tasks
            contact.lost(error)
            pause = backoff.delay()
        else:
            contact.found()
            backoff.reset()
        await asyncio.sleep(pause)
