"""How cases measure that something happened in time."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from omniq_conformance.outcomes import DivergenceError

if TYPE_CHECKING:
    from omniq.storage.role import Storage
    from omniq_conformance.registry import Trial

__all__ = ["PATIENCE", "LateError", "allowed", "in_time", "measured"]

PATIENCE = 20.0
"""How long a wait is asked to last, in seconds: longer than any wake-up may take."""

_SLACK = 0.5

Measuring = Callable[["Trial"], Coroutine[Any, Any, None]]


class LateError(DivergenceError):
    """Something happened, but too late."""


def measured(function: Measuring) -> Measuring:
    """Let a case that measures time run again if it was late: a busy machine is late once, a slow backend always."""

    @functools.wraps(function)
    async def again(trial: Trial) -> None:
        try:
            await function(trial)
        except LateError:
            await function(trial)

    return again


def allowed(storage: Storage) -> float:
    """Return how late a wake-up may be, in seconds: what a busy machine adds to a push, or to the longest poll."""
    capabilities = storage.capabilities
    return _SLACK if capabilities.push else capabilities.max_wait_ms / 1000 + _SLACK


def in_time(possible: float, limit: float, what: str) -> None:
    """Check that no more than `limit` seconds went by since something was possible.

    Raises:
        LateError: It is later.
    """
    late = time.perf_counter() - possible
    if late > limit:
        msg = f"It took {late:.2f} s until {what}; allowed are {limit:.2f} s."
        raise LateError(msg)
