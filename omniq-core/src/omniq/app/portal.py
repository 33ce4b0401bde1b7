"""The thread in which the blocking facade does its work."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import concurrent.futures.thread  # its own exit handler has to be registered first
import threading
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from omniq.app.forking import after_fork, leave_to_parent
from omniq.errors import StoreClosedError, SyncInAsyncError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

__all__ = ["Portal", "refuse_in_loop"]

P = ParamSpec("P")
T = TypeVar("T")

_JOIN_S = 30.0
_ENDING = "The program is ending. Use the application before that, or close it where the last use is."


class Portal:
    """A thread with an event loop, started when it is first needed.

    Threads of any kind may call through it. It ends with `close`, when its owner is collected, and when the
    interpreter exits, before that ends the threads that stores may need for closing.

    Args:
        finish: Awaited in the loop before it ends.
    """

    def __init__(self, finish: Callable[[], Awaitable[None]]) -> None:
        self._finish = finish
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        _portals.add(self)
        after_fork(self._forget)

    def call(self, func: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function in the portal's loop and return what it returns.

        Raises:
            SyncInAsyncError: The calling thread runs an event loop, which would stand still meanwhile.
            StoreClosedError: The portal was closed by another thread meanwhile.
        """
        refuse_in_loop(getattr(func, "__name__", "this"))
        with self._lock:  # so that the loop knows of the call before it hears of its end
            loop = self._started()
            future = asyncio.run_coroutine_threadsafe(func(*args, **kwargs), loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise StoreClosedError("The application was closed by another thread during this call.") from None
        except BaseException:
            future.cancel()  # the caller was interrupted; nothing waits for it any more
            raise

    def iterate(
        self, make: Callable[P, AsyncIterator[T]], size: int, /, *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[T]:
        """Yield what an asynchronous iterator yields, fetching up to `size` items at once."""
        items = make(*args, **kwargs)
        try:
            while chunk := self.call(_take, items, size):
                yield from chunk
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                self.call(close)

    def close(self) -> None:
        """Finish and end the thread; the next call starts another one."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._signal()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def abandon(self) -> None:
        """Finish and end the thread without waiting for it."""
        self._thread = None
        self._signal()

    def _forget(self) -> None:
        """Leave everything to the parent process; its thread does not exist here, and its locks may be held."""
        leave_to_parent(self._loop, self._stop, self._thread)
        self._lock = threading.Lock()
        self._thread = self._loop = self._stop = None

    def _signal(self) -> None:
        loop, stop = self._loop, self._stop
        self._loop = self._stop = None
        if loop is not None and stop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            if _exiting.is_set():
                raise StoreClosedError(_ENDING)
            ready = threading.Event()
            thread = threading.Thread(target=self._run, args=(ready,), name="omniq-portal", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # Python starts no thread any more
                raise StoreClosedError(_ENDING) from error
            ready.wait()
            self._thread = thread
        assert self._loop is not None  # noqa: S101 - set before `ready`
        return self._loop

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        stop = self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        finish = self._finish
        ready.set()
        await stop.wait()
        await finish()


async def _take(items: AsyncIterator[T], size: int) -> list[T]:
    taken: list[T] = []
    async for item in items:
        taken.append(item)
        if len(taken) == size:
            break
    return taken


def refuse_in_loop(name: str) -> None:
    """Refuse to block a thread that runs an event loop.

    Args:
        name: The method that was called.

    Raises:
        SyncInAsyncError: It does.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    msg = (
        f"OmniQ.{name}() blocks, and was called inside a running event loop, which would stand still. Use AsyncOmniQ "
        f"there (`await app.{name}(...)`), or call it in a thread: `await asyncio.to_thread(app.{name}, ...)`."
    )
    raise SyncInAsyncError(msg)


_portals: weakref.WeakSet[Portal] = weakref.WeakSet()
_exiting = threading.Event()


def _close_all() -> None:
    for portal in list(_portals):
        portal.close()


def _close_early() -> None:
    """Close when the main thread has ended, unless other threads go on: they may need what is open."""
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    if all(thread.daemon for thread in others):
        _close_all()


def _close_for_good() -> None:
    _exiting.set()
    _close_all()


# Early, because the hooks of atexit run after Python has ended its thread pools, which stores may need for closing.
getattr(threading, "_register_atexit", lambda _: None)(_close_early)
atexit.register(_close_for_good)
