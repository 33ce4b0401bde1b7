"""A worker for programs that block."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from omniq.app.portal import refuse_in_loop
from omniq.worker.shutdown import signal_handlers

if TYPE_CHECKING:
    from types import TracebackType

    from omniq.app.async_app import AsyncOmniQ
    from omniq.worker.options import WorkerHealth, WorkerOptions, WorkerReport
    from omniq.worker.worker import Worker

__all__ = ["SyncWorker"]


class SyncWorker:
    """Runs an application's tasks, in an event loop of its own.

    `run()` does it in the calling thread, `with app.worker():` in a thread beside the program.

    Args:
        worker: What does the work.
        app: The application that it belongs to.
    """

    def __init__(self, worker: Worker, app: AsyncOmniQ) -> None:
        self._worker = worker
        self._app = app
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def run(self) -> WorkerReport:
        """Work until stopped, or with `burst` until nothing is left to do.

        In the main thread SIGTERM and SIGINT stop it: gracefully at the first, at once at the second.

        Raises:
            SyncInAsyncError: This thread runs an event loop.
            Exception: A fault inside the worker; what could be handed back was.
        """
        refuse_in_loop("worker().run")
        with signal_handlers(self._worker):
            return asyncio.run(self._run())

    def stop(self, *, now: bool = False) -> None:
        """Stop; from any thread, at any time.

        Args:
            now: Cancel and hand back what runs.
        """
        self._worker.stop(now=now)

    @property
    def options(self) -> WorkerOptions:
        """How it works."""
        return self._worker.options

    @property
    def report(self) -> WorkerReport:
        """The counts so far."""
        return self._worker.report

    def health(self) -> WorkerHealth:
        """Return a snapshot."""
        return self._worker.health()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._work, name=f"omniq-{self.options.name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(now=exc is not None)
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None and exc is None:
            raise self._failure

    def __repr__(self) -> str:
        return repr(self._worker)

    async def _run(self) -> WorkerReport:
        try:
            return await self._worker.run()
        finally:
            await self._app.close()

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - raised where the block ends
            self._failure = error
