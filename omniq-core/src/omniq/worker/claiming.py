"""Takes tasks from the queue whenever slots are free, and sleeps when there are none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from typing import TYPE_CHECKING

from omniq.errors import OutcomeUnknownError, StorageError, StoreClosedError
from omniq.worker.lease import FENCE_FRACTION
from omniq.worker.retrying import Backoff, Contact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.record import Grant
    from omniq.storage.task_queue import TaskQueue
    from omniq.worker.context import Run, RunDesk
    from omniq.worker.options import WorkerOptions
    from omniq.worker.roster import Roster

__all__ = ["Claimer"]

_log = logging.getLogger(__name__)

_MOST_A_CLAIM = 100
_LEAST_SLEEP = 0.005
_CLOCK_TRUSTED_S = 5.0


class Claimer:
    """The claim loop.

    A claim asks for as many tasks as there are free slots, so nothing waits here that another worker could run. When
    a claim brought less than it asked for, the loop sleeps in `TaskQueue.wait` until the queue says that there may be
    work, or until its `next_at`.

    Args:
        queue: The opened queue.
        roster: The runs.
        options: The worker's options.
        desk: The worker.
        start: Starts admitted runs.
        claimed: Called after every claim that granted something, before anything is started.
    """

    def __init__(
        self,
        *,
        queue: TaskQueue,
        roster: Roster,
        options: WorkerOptions,
        desk: RunDesk,
        start: Callable[[list[Run]], None],
        claimed: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._queues = options.queues
        self._roster = roster
        self._options = options
        self._desk = desk
        self._start = start
        self._claimed = claimed
        self._contact = Contact("claiming tasks", _log)
        self._offset = 0.0
        self._offset_until = 0.0
        self._backoff = Backoff()
        self._stop = asyncio.Event()
        self._nap: asyncio.Task[None] | None = None
        self.fenced = False
        self.last_claim_at: float | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the store cannot be reached at the moment."""
        return self._contact.lost_at is not None

    def stop(self) -> None:
        """Claim no more; a claim that is on its way is waited for."""
        self._stop.set()
        self.nudge()

    def nudge(self) -> None:
        """Look for work now, though the queue has not called."""
        self._roster.wake()
        if self._nap is not None:
            self._nap.cancel()

    async def run(self) -> None:
        """Claim until stopped; with `burst`, until there is nothing left to do."""
        while not self._stop.is_set():
            limit = self._limit()
            if limit <= 0:
                await self._roster.changed()
            elif await self._claim(limit) == limit:
                await asyncio.sleep(0)  # eager tasks never give the loop back by themselves
            elif self._options.burst and await self._is_done():
                return
            else:
                await self._sleep()

    def _limit(self) -> int:
        if self.fenced:
            return 0
        limit = min(self._roster.free, _MOST_A_CLAIM)
        most = self._options.max_tasks
        return min(limit, most - self._roster.claimed) if most else limit

    # Claiming

    async def _claim(self, limit: int) -> int:
        """Claim up to `limit` tasks and start them; return how many there were."""
        roster = self._roster
        claim_id = secrets.token_hex(8)
        roster.busy += limit
        granted = 0
        sent_at = roster.claims[claim_id] = time.monotonic()
        try:
            grants = await self._ask(limit, claim_id)
            if grants:
                runs = roster.admit(grants, self._desk, sent_at)
                granted = len(runs)
        finally:
            del roster.claims[claim_id]
            roster.busy -= limit - granted
        if granted:
            self._claimed()
            await self._begin(runs, sent_at)
            most = self._options.max_tasks
            if most and roster.claimed >= most:
                roster.recycle_reason = roster.recycle_reason or f"max_tasks of {most} reached"
                self._stop.set()
        return granted

    async def _ask(self, limit: int, claim_id: str) -> Sequence[Grant]:
        options = self._options
        is_unknown = False
        while True:
            try:
                if is_unknown:
                    # The reply was lost: what it granted is found under its id, and must not be left to its lease.
                    grants = await self._queue.held(options.name, claim_id)
                else:
                    grants = await self._queue.claim(self._queues, limit, options.name, options.lease_ms, claim_id)
            except StoreClosedError:
                raise
            except StorageError as error:
                is_unknown = is_unknown or isinstance(error, OutcomeUnknownError)
                await self._store_failed(error)
                if self._stop.is_set() and not is_unknown:
                    return ()
            else:
                self._store_answered()
                return grants

    async def _store_failed(self, error: StorageError) -> None:
        """Wait longer with every failure in a row, but not longer than until the worker stops."""
        self._contact.lost(error)
        delay = self._backoff.delay()
        if self._stop.is_set():
            await asyncio.sleep(delay)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stop.wait()

    def _store_answered(self) -> None:
        self._contact.found()
        self._backoff.reset()
        self.last_claim_at = time.monotonic()

    async def _begin(self, runs: list[Run], sent_at: float) -> None:
        """Start what was granted, if it is still ours and wanted."""
        if self._stop.is_set():
            for run in runs:
                run.why_stopped = "shutdown"  # so it is handed back instead
        if time.monotonic() - sent_at > self._options.lease_ms / 1000 * FENCE_FRACTION:
            runs = await self._still_held(runs)
        self._start(runs)

    async def _still_held(self, runs: list[Run]) -> list[Run]:
        """Ask for each lease: the loop was blocked for so long that they may be over."""
        now = time.monotonic()
        tokens = [(run.grant.id, run.grant.token) for run in runs]
        try:
            replies = await self._queue.heartbeat(tokens, self._options.lease_ms)
        except StorageError as error:
            self._contact.lost(error)
            replies = ["lost"] * len(runs)
        for run, reply in zip(runs, replies, strict=True):
            if reply == "lost":
                run.why_stopped = "lost"
            else:
                run.renewed_at = now
        return runs

    # Sleeping

    async def _is_done(self) -> bool:
        """Tell whether the queues have neither ready nor running tasks, here or anywhere."""
        if self._roster.held:
            return False
        try:
            stats = await self._queue.queues()
        except StorageError as error:
            self._contact.lost(error)
            return False
        ours = [entry for entry in stats if entry.name in self._queues]
        return not any(entry.running or (entry.ready and not entry.paused) for entry in ours)

    async def _sleep(self) -> None:
        """Wait until there may be work."""
        try:
            timeout = await self._until_next()
            if self._stop.is_set():
                return
            # In a task of its own, so that it can be cut short without cancelling this one.
            self._nap = asyncio.ensure_future(self._queue.wait(self._queues, timeout))
            try:
                await asyncio.wait((self._nap,))
                if not self._nap.cancelled():
                    self._nap.result()
            finally:
                nap, self._nap = self._nap, None
                nap.cancel()
        except StoreClosedError:
            raise
        except StorageError as error:
            await self._store_failed(error)

    async def _until_next(self) -> float:
        """Return for how many seconds the queue has nothing to do, as far as is known now."""
        longest = self._queue.capabilities.max_wait_ms / 1000
        if self._options.burst:
            longest = min(longest, 0.1)
        next_at = await self._queue.next_at(self._queues)
        if next_at is None:
            return longest
        local = time.monotonic()
        if local > self._offset_until:
            self._offset = await self._queue.time() - local * 1000
            self._offset_until = local + _CLOCK_TRUSTED_S
        left = (next_at - self._offset) / 1000 - local
        # A little longer, because the clocks were compared to the millisecond.
        return max(_LEAST_SLEEP, min(longest, left + 0.001))
