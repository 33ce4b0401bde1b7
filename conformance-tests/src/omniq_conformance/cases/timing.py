"""How cases measure that something happened in time."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from omniq_conformance.outcomes import DivergenceError

if TYPE_CHECKING:
    from omniq.storage.role import Storage
    from omniq_conformance.registry import Trial

__all__ = ["LateError", "allowed", "in_time", "measured"]

_SLACK = 0.5
_TRIES = 3

Measuring = Callable[["Trial"], Coroutine[Any, Any, None]]


class LateError(DivergenceError):
    """Something happened, but too late."""


def measured(function: Measuring) -> Measuring:
    """Let a case that measures time run again if it was late: a busy machine is late now and then, a backend always."""

    @functools.wraps(function)
    async def again(trial: Trial) -> None:
        for _ in range(_TRIES - 1):
            with contextlib.suppress(LateError):
                return await function(trial)
        return await function(trial)

    return again


def allowed(storage: Storage) -> float:
    """Return how late a wake-up may be, in seconds: what a busy machine adds to a push, or to the longest poll.

    A push has to come clearly sooner than the poll that makes up for a lost one.
    """
    capabilities = storage.capabilities
    longest = capabilities.max_wait_ms / 1000
    return min(_SLACK, longest / 2) if capabilities.push else longest + _SLACK


def in_time(possible: float, limit: float, what: str) -> None:
    """Check that no more than `limit` seconds went by since something was possible.

    Raises:
        LateError: It is later.
    """
    late = time.perf_counter() - possible
    if late > limit:
        msg = f"It took {late:.2f} s until {what}; allowed are {limit:.2f} s."
        raise LateError(msg)
