"""Runs blocking functions in daemon threads and brings their outcomes back to the loop."""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextvars import Context

    from omniq.worker.context import Run

__all__ = ["ThreadPool"]


class _Job(NamedTuple):
    run: Run
    context: Context
    call: Callable[[], Any]


class ThreadPool:
    """Threads that are made when all others are busy, and kept.

    They are daemons, unlike those of `concurrent.futures`: a function that never returns must not keep the process
    from exiting after the worker gave it up. There are as many as slots at most, since each busy thread has one.

    Args:
        loop: The worker's event loop.
        ended: Called on the loop with the run and its value, or with the exception that it raised.
        name: The prefix of the threads' names.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[Run, Any, BaseException | None], None],
        name: str = "omniq-task",
    ) -> None:
        self._loop = loop
        self._ended = ended
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._outcomes: deque[tuple[Run, Any, BaseException | None]] = deque()
        self._is_told = False
        self._threads = 0
        self._working = 0

    def submit(self, run: Run, context: Context, call: Callable[[], Any]) -> None:
        """Call a function in a thread, in a context of its own."""
        self._working += 1
        if self._working > self._threads:
            self._threads += 1
            name = f"{self._name}-{self._threads}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._jobs.put(_Job(run, context, call))

    def close(self) -> None:
        """Let the idle threads end, and those that work when they are done."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            try:
                value = job.context.run(job.call)
            except BaseException as error:  # noqa: BLE001 - SystemExit in a task is the task's failure
                self._report(job.run, None, error)
            else:
                self._report(job.run, value, None)
                del value
            del job  # or an idle thread would keep the arguments of its last task alive

    def _report(self, run: Run, value: Any, error: BaseException | None) -> None:
        self._outcomes.append((run, value, error))
        # Waking the loop costs a system call, so one call brings all outcomes that pile up until it is served. The
        # flag is cleared before the loop looks: a wake-up too many does no harm, one too few would.
        if not self._is_told:
            self._is_told = True
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:
                return  # the loop is closed: the worker gave this run up long ago

    def _collect(self) -> None:
        self._is_told = False
        while self._outcomes:
            run, value, error = self._outcomes.popleft()
            self._working -= 1
            self._ended(run, value, error)
