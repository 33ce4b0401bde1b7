"""Keeps the leases of all held tasks alive from a thread of its own, and fences the worker off when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Protocol

from omniq.worker.retrying import Backoff, Contact

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniq.models.record import HeartbeatReply, Token
    from omniq.storage.task_queue import TaskQueue
    from omniq.worker.context import Run
    from omniq.worker.options import WorkerOptions
    from omniq.worker.roster import Roster

__all__ = ["FENCE_FRACTION", "LeaseKeeper", "LeaseListener"]

FENCE_FRACTION = 0.85
"""After this part of a lease without a renewal the worker stops the task, before anybody else may start it."""

_FRAMES = 4

_log = logging.getLogger(__name__)


class LeaseListener(Protocol):
    """Hears what happens to leases, on the worker's loop."""

    def interrupt(self, run: Run, why: str) -> None:
        """Stop a run."""
        ...

    def fence(self, *, up: bool) -> None:
        """Stop claiming while leases cannot be renewed."""
        ...

    def pong(self, sent_at: float) -> None:
        """Answer a ping; how late it is tells how busy the loop is."""
        ...


class LeaseKeeper:
    """Renews leases in batches, hears of requested cancels and of lost tasks.

    It has its own thread, event loop and connection, so it works while a task blocks the worker's loop. It also keeps
    what a claim granted whose reply the blocked loop has not read yet.

    Args:
        queue: The worker's queue; a sibling of it is opened in the thread.
        roster: The runs.
        options: The worker's options.
        loop: The worker's loop.
        listener: The worker.
    """

    def __init__(
        self,
        queue: TaskQueue,
        roster: Roster,
        options: WorkerOptions,
        loop: asyncio.AbstractEventLoop,
        listener: LeaseListener,
    ) -> None:
        self._queue = queue
        self._roster = roster
        self._name = options.name
        self._lease_ms = options.lease_ms
        self._fence_after = options.lease_ms / 1000 * FENCE_FRACTION
        self._beat = options.heartbeat_ms / 1000
        self._loop = loop
        self._listener = listener
        self._contact = Contact("renewing leases", _log)
        self._thread: threading.Thread | None = None
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._wakeup: asyncio.Event | None = None
        self._stopping = threading.Event()
        self._ended = asyncio.Event()
        self._urgent: set[str] = set()
        self._fenced = False
        self._loop_thread = threading.get_ident()
        self._pinged_at: float | None = None
        self._is_blocked = False

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name=f"omniq-lease {self._name}", daemon=True)
            self._thread.start()

    def renew_soon(self, run: Run) -> None:
        """Renew the lease of one run without waiting for the next beat; from any thread."""
        self._urgent.add(run.grant.id)
        self._wake()

    async def stop(self, patience: float = 5.0) -> None:
        """Let the thread end; called when nothing is held any more."""
        self._stopping.set()
        self._wake()
        thread = self._thread
        if thread is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._ended.wait()
                thread.join(patience)

    def _wake(self) -> None:
        loop, wakeup = self._own_loop, self._wakeup
        if loop is not None and wakeup is not None:
            with contextlib.suppress(RuntimeError):  # its loop has closed in the meantime
                loop.call_soon_threadsafe(wakeup.set)

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the worker's loop has closed
            self._loop.call_soon_threadsafe(call, *args)

    # In the thread

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._tell(self._ended.set)

    async def _serve(self) -> None:
        self._own_loop = asyncio.get_running_loop()
        self._wakeup = asyncio.Event()
        backoff = Backoff(self._beat / 8, self._beat)
        while not self._stopping.is_set():
            sibling = self._queue.sibling()
            try:
                async with asyncio.timeout(self._patience()):
                    await sibling.open()
                await self._renew_for_ever(sibling, backoff)
            except Exception as error:  # noqa: BLE001 - without this thread every task would be lost to others
                self._contact.lost(error)
                self._fence_what_is_late()
            with contextlib.suppress(Exception):  # it is replaced by a new one, whatever state it is in
                async with asyncio.timeout(self._patience()):
                    await sibling.close()
            if not self._stopping.is_set():
                await self._sleep(min(backoff.delay(), self._patience()))

    async def _renew_for_ever(self, sibling: TaskQueue, backoff: Backoff) -> None:
        """Renew at every beat until stopped; raise when the connection is better made anew."""
        while not self._stopping.is_set():
            self._ping()
            async with asyncio.timeout(self._patience()):
                await self._renew(sibling)
            backoff.reset()
            self._contact.found()
            if self._fenced:
                self._fenced = False
                self._tell(lambda: self._listener.fence(up=False))
            await self._sleep(self._beat)

    def _ping(self) -> None:
        """Measure how late the worker's loop is, and name the code that blocks it for a quarter of a lease."""
        now, sent_at = time.monotonic(), self._pinged_at
        if sent_at is None:
            self._pinged_at = now
            self._tell(self._answer, now)
        elif now - sent_at > self._lease_ms / 4000 and not self._is_blocked:
            self._is_blocked = True
            frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way to another stack
            stack = "".join(traceback.format_stack(frame)[-_FRAMES:]) if frame is not None else ""
            _log.warning(
                "the event loop of %s has been blocked for %.1f s; its leases are renewed, but nothing else runs. Do "
                "not call blocking functions in coroutines, make the task a plain function instead. It is in\n%s",
                self._name,
                now - sent_at,
                stack,
            )

    def _answer(self, sent_at: float) -> None:
        self._pinged_at = None
        self._is_blocked = False
        self._listener.pong(sent_at)

    def _patience(self) -> float:
        """Return for how many seconds one call may keep this thread: until the first lease has to be given up."""
        oldest = min((run.renewed_at for run in self._runs()), default=float("inf"))
        return max(self._beat / 8, min(self._beat, oldest + self._fence_after - time.monotonic()))

    async def _sleep(self, seconds: float) -> None:
        wakeup = self._wakeup
        if wakeup is None or self._stopping.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wakeup.wait()
        wakeup.clear()

    async def _renew(self, sibling: TaskQueue) -> None:
        """Renew what was not renewed during the last half beat.

        Younger leases wait for the next beat, so short tasks cost no heartbeat at all.
        """
        urgent, self._urgent = self._urgent, set()
        sent_at = time.monotonic()
        young = sent_at - self._beat / 2
        due = [run for run in self._runs() if run.renewed_at <= young or run.grant.id in urgent]
        tokens = [(run.grant.id, run.grant.token) for run in due]
        unread = await self._unread(sibling, sent_at)
        if not tokens and not unread:
            if self._fenced:
                await sibling.time()  # nothing to renew, but it tells whether renewing would work
            return
        replies = await sibling.heartbeat([*tokens, *unread], self._lease_ms)
        for run, reply in zip(due, replies, strict=False):
            self._handle(run, reply, sent_at)

    async def _unread(self, sibling: TaskQueue, now: float) -> list[tuple[str, Token]]:
        """Return what claims granted whose reply the worker's loop has not come to read."""
        late = [claim_id for claim_id, sent_at in self._roster.claims.copy().items() if sent_at <= now - self._beat]
        held = [grant for claim_id in late for grant in await sibling.held(self._name, claim_id)]
        return [(grant.id, grant.token) for grant in held]

    def _runs(self) -> list[Run]:
        return [run for run in self._roster.held.copy().values() if run.why_stopped not in {"lost", "fenced"}]

    def _handle(self, run: Run, reply: HeartbeatReply, sent_at: float) -> None:
        if reply == "lost":
            self._stop(run, "lost")
            return
        run.renewed_at = sent_at
        if reply == "cancel":
            self._stop(run, "cancel")

    def _fence_what_is_late(self) -> None:
        """Stop what may soon be given to another worker."""
        late_since = time.monotonic() - self._fence_after
        late = [run for run in self._runs() if run.renewed_at <= late_since]
        for run in late:
            self._stop(run, "fenced")
        if late or (self._contact.lost_at is not None and self._contact.lost_at <= late_since):
            if not self._fenced:
                _log.error("%s cannot renew its leases: it stops its tasks and claims no others", self._name)
                self._tell(lambda: self._listener.fence(up=True))
            self._fenced = True

    def _stop(self, run: Run, why: str) -> None:
        if not run.why_stopped and not run.ended:
            # Set here and not on the loop, which may be blocked: code in threads asks `is_cancelled`.
            run.why_stopped = why
            self._tell(self._listener.interrupt, run, why)
