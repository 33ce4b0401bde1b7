"""Ends a worker in two phases, so that no task waits for its lease afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from omniq.worker.claiming import Claimer
    from omniq.worker.execution import Executor
    from omniq.worker.options import WorkerOptions
    from omniq.worker.roster import Roster
    from omniq.worker.settling import Settler

__all__ = ["drain", "install_signal_handlers", "signal_handlers"]

_log = logging.getLogger(__name__)

_UNWIND_S = 1.0
"""How long cancelled coroutines may take to clean up after themselves before their tasks are handed back anyway."""
_CLAIM_S = 5.0
_HURRIED_S = 3.0
"""How long a worker that has to stop now tries to record outcomes while the store cannot be reached."""
_ECHO_S = 0.3
"""The same signal again so soon is an echo: some tools send it to the process and to its process group."""


async def drain(
    *,
    claimer: Claimer,
    claiming: asyncio.Task[None],
    executor: Executor,
    settler: Settler,
    roster: Roster,
    options: WorkerOptions,
    hurry: asyncio.Event,
) -> None:
    """Finish or hand back everything that the worker holds.

    First what has not started is handed back and what runs may finish, until `shutdown_timeout_ms` or until `hurry` is
    set; then the rest is cancelled and handed back, its attempts not counted.
    """
    claimer.stop()
    give_up_at = time.monotonic() + options.shutdown_timeout_ms / 1000
    executor.hand_back_waiting()
    await asyncio.wait((claiming,), timeout=_CLAIM_S)
    executor.hand_back_waiting()
    running = roster.busy
    if running and not hurry.is_set():
        _log.info("%s stops: %d tasks are finishing", options.name, running)
    await _until_idle(roster, give_up_at, hurry)
    if roster.busy:
        _log.warning("%s stops: %d tasks are cancelled and handed back", options.name, roster.busy)
        for run in executor.running():
            executor.interrupt(run, "shutdown")
        await _until_idle(roster, time.monotonic() + _UNWIND_S, None)
        for run in executor.running():
            executor.give_up(run)
    ended_at, patience = time.monotonic(), options.lease_ms / 1000
    while not settler.is_idle and time.monotonic() - ended_at < (_HURRIED_S if hurry.is_set() else patience):
        await roster.changed_or(0.05)


async def _until_idle(roster: Roster, give_up_at: float, hurry: asyncio.Event | None) -> None:
    while roster.busy and not (hurry is not None and hurry.is_set()):
        left = give_up_at - time.monotonic()
        if left <= 0:
            return
        await roster.changed_or(left)


class _Stoppable(Protocol):
    def stop(self, *, now: bool = False) -> None: ...


def install_signal_handlers(worker: _Stoppable) -> Callable[[], None]:
    """Stop the worker on SIGTERM and SIGINT: gracefully at the first, now at the second, by force at the third.

    Args:
        worker: The worker; it need not run yet.

    Returns:
        A function that puts the former handlers back. Does nothing outside of the main thread, where Python does not
        allow handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    received = 0
    latest: dict[int, float] = {}
    former: dict[int, Any] = {}

    def restore() -> None:
        while former:
            number, handler = former.popitem()
            signal.signal(number, handler)

    def handle(number: int, _: FrameType | None) -> None:
        # Plain handlers rather than the loop's: they run even while a task blocks the loop.
        nonlocal received
        now = time.monotonic()
        if now - latest.get(number, float("-inf")) < _ECHO_S:
            return
        latest[number] = now
        received += 1
        if received > 2:  # noqa: PLR2004 - graceful, now, by force
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        worker.stop(now=received > 1)

    for number in (signal.SIGTERM, signal.SIGINT):
        former[number] = signal.signal(number, handle)
    return restore


@contextlib.contextmanager
def signal_handlers(worker: _Stoppable) -> Iterator[None]:
    """Install the handlers for the time of a block."""
    restore = install_signal_handlers(worker)
    try:
        yield
    finally:
        restore()
