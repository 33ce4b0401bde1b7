"""Processes that call a function when they are told to, and are killed when that takes too long."""

from __future__ import annotations

import traceback
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import TracebackType

__all__ = ["Worker"]

_SOON = 1.0
"""How long a process that has closed its pipe may take to end, in seconds."""


class Worker:
    """A context manager around one process, which is started with the first call and after one that took too long.

    Args:
        function: What it calls: a function of a module, which gets and returns what can be pickled.
        limit: For how many seconds it may do so.
    """

    def __init__(self, function: Callable[..., Any], limit: float) -> None:
        self._function = function
        self._limit = limit
        self._running: tuple[SpawnProcess, Connection] | None = None

    def call(self, *args: Any) -> Any:
        """Call the function, and return what it returns.

        Raises:
            TimeoutError: It takes longer than the limit.
            RuntimeError: It raised something, or the process ended.
        """
        process, pipe = self._running = self._running or self._started()
        try:
            pipe.send(args)
            told = pipe.recv() if pipe.poll(self._limit) else None
        except (EOFError, OSError) as error:
            process.join(_SOON)
            self.stop()
            raise RuntimeError(f"The process that was told {args} ended with {process.exitcode}.") from error
        if told is None:
            self.stop()
            raise TimeoutError(f"It was not done within {self._limit:g} s.")
        answer, fault = told
        if fault:
            raise RuntimeError(f"The process that was told {args} raised\n{fault}")
        return answer

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._running is not None:
            process, pipe = self._running
            self._running = None
            process.kill()
            process.join()
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _started(self) -> tuple[SpawnProcess, Connection]:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self._function, theirs), daemon=True)
        process.start()
        theirs.close()
        return process, ours


def _serve(function: Callable[..., Any], pipe: Connection) -> None:
    while True:
        try:
            args = pipe.recv()
        except EOFError:
            return
        try:
            told = function(*args), ""
        except Exception:  # noqa: BLE001 - the parent raises it
            told = None, traceback.format_exc()
        pipe.send(told)
