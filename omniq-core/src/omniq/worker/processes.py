"""Runs functions in child processes, which unlike threads can be killed."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from omniq.errors import ConfigError
from omniq.worker.child import Answer, Begun, Note, Order, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from omniq.worker.context import Run
    from omniq.worker.threads import ThreadPool

__all__ = ["ProcessPool"]

_LAST_WORDS_S = 10.0


class _Child:
    """One child process, started when it is first needed and again after it died."""

    def __init__(self, begun: Callable[[Run], None]) -> None:
        self._begun = begun
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection[Any, Any] | None = None
        self._killed = False

    def call(self, run: Run, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a function in the child and return its value; blocks, so a thread of the pool calls it.

        Raises:
            BaseException: What the function raised, with the child's traceback as a note.
            ChildProcessError: The child died.
        """
        body = attrs.evolve(run.grant.body, args=b"", kwargs=b"")
        order = Order(func.__module__, func.__qualname__, args, kwargs, attrs.evolve(run.grant, body=body))
        try:
            data = pickle.dumps(order)
        except Exception as error:
            raise ConfigError(f"the arguments cannot be sent to a process: {error}. Pass plain data.") from error
        try:
            pipe = self._ready()
            pipe.send_bytes(data)
            while True:
                message = pickle.loads(pipe.recv_bytes())  # noqa: S301 - our own child wrote it
                if isinstance(message, Answer):
                    return message.unwrap()
                if isinstance(message, Begun):
                    self._begun(run)
                elif isinstance(message, Note):
                    run.desk.note(run, message.text)
        except (EOFError, OSError) as error:
            raise self._obituary() from error

    def kill(self) -> None:
        """Kill the process; `call` then raises."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Kill the process and let everything go."""
        self.kill()
        with self._lock:
            process, self._process = self._process, None
            pipe, self._pipe = self._pipe, None
        if process is not None:
            process.join(_LAST_WORDS_S)
        if pipe is not None:
            pipe.close()

    def _ready(self) -> Connection[Any, Any]:
        with self._lock:
            if self._killed:
                raise EOFError
            if self._process is not None and self._pipe is not None and self._process.is_alive():
                return self._pipe
            # Spawned and not forked: this process has threads, and locks of theirs would stay locked in a fork.
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs,), name="omniq-task", daemon=True)
            try:
                self._process.start()
            finally:
                theirs.close()  # so that reading ends when the child does
            return self._pipe

    def _obituary(self) -> ChildProcessError:
        with self._lock:
            process, self._process = self._process, None
            pipe, self._pipe = self._pipe, None
            self._killed = False
        if pipe is not None:
            pipe.close()
        if process is None:
            return ChildProcessError("the child process was stopped before the task began")
        process.join(_LAST_WORDS_S)
        code = process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
            hint = " (out of memory?)" if -code == signal.SIGKILL else ""
            return ChildProcessError(f"the child process died of signal {-code}, {name}{hint}")
        return ChildProcessError(f"the child process ended with exit code {code} before the task was done")


class ProcessPool:
    """A few child processes, each with one task at a time.

    Not a `ProcessPoolExecutor`: there a child that dies breaks the whole pool, and a running call cannot be killed.
    Each child is attended by a thread of the thread pool while it works.

    Args:
        size: How many children there are at most.
        threads: Whose threads wait for the children.
        begun: Called, in one of these threads, with each run when its function is about to be called.
    """

    def __init__(self, size: int, threads: ThreadPool, begun: Callable[[Run], None]) -> None:
        self._threads = threads
        self._idle = [_Child(begun) for _ in range(size)]
        self._all = tuple(self._idle)
        self._working: dict[Run, _Child] = {}
        self._waiting: deque[tuple[Run, Context, Callable[..., Any], Any, dict[str, Any]]] = deque()

    def submit(self, run: Run, context: Context, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """Run a function in a child as soon as one is free; the thread pool reports its end."""
        self._waiting.append((run, context, func, args, kwargs))
        self._dispatch()

    def waiting(self) -> list[Run]:
        """Return the runs that no child has begun."""
        return [entry[0] for entry in self._waiting]

    def discard(self, run: Run) -> bool:
        """Forget a run that no child has begun; tell whether it was one."""
        for entry in self._waiting:
            if entry[0] is run:
                self._waiting.remove(entry)
                return True
        return False

    def kill(self, run: Run) -> None:
        """Kill the child that works on a run, if one does."""
        child = self._working.get(run)
        if child is not None:
            child.kill()

    def freed(self, run: Run) -> None:
        """Take a child back whose run was reported by the thread pool."""
        child = self._working.pop(run, None)
        if child is not None:
            self._idle.append(child)
            self._dispatch()

    def close(self) -> None:
        """Kill all children."""
        for child in self._all:
            child.close()

    def _dispatch(self) -> None:
        while self._idle and self._waiting:
            child = self._idle.pop()
            run, context, func, args, kwargs = self._waiting.popleft()
            self._working[run] = child
            self._threads.submit(run, context, partial(child.call, run, func, args, kwargs))
