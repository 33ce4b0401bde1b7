"""Takes tasks from the queue whenever slots are free, and sleeps when there are none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

from omniq.errors import OutcomeUnknownError, StorageError, StoreClosedError
from omniq.worker.eager import start_task
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


class _Batch(NamedTuple):
    """What one claim brought."""

    runs: list[Run]
    sent_at: float
    is_full: bool


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
        self._ahead: asyncio.Task[_Batch] | None = None
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
        try:
            while self._ahead is not None or not self._stop.is_set():
                batch = await self._next_batch()
                if batch is None:
                    await self._roster.changed()
                    continue
                if batch.is_full and (limit := self._limit()) > 0:
                    # The next claim is on its way while the tasks of this one run.
                    self._ahead = start_task(self._claim(limit), asyncio.get_running_loop())
                await self._begin(batch)
                if batch.is_full:
                    await asyncio.sleep(0)  # eager tasks never give the loop back by themselves
                elif self._options.burst and await self._is_done():
                    return
                else:
                    await self._sleep()
        finally:
            if self._ahead is not None:
                self._ahead.cancel()

    async def _next_batch(self) -> _Batch | None:
        """Return what the next claim brings, or None if nothing may be claimed now."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return await ahead
        limit = self._limit()
        return await self._claim(limit) if limit > 0 else None

    def _limit(self) -> int:
        """Return how many tasks may be claimed now."""
        if self.fenced or self._stop.is_set():
            return 0
        roster, options = self._roster, self._options
        limit = min(roster.free, _MOST_A_CLAIM)
        return min(limit, options.max_tasks - roster.claimed) if options.max_tasks else limit

    # Claiming

    async def _claim(self, limit: int) -> _Batch:
        """Claim up to `limit` tasks, for which slots are free, and take them in."""
        roster = self._roster
        claim_id = secrets.token_hex(8)
        roster.busy += limit
        runs: list[Run] = []
        sent_at = roster.claims[claim_id] = time.monotonic()
        try:
            grants = await self._ask(limit, claim_id)
            if grants:
                runs = roster.admit(grants, self._desk, sent_at)
                self._claimed()
        finally:
            del roster.claims[claim_id]
            roster.busy -= limit - len(runs)
        return _Batch(runs, sent_at, len(runs) == limit)

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

    async def _begin(self, batch: _Batch) -> None:
        """Start what was granted, if it is still ours and wanted."""
        runs = batch.runs
        if not runs:
            return
        options, roster = self._options, self._roster
        if self._stop.is_set():
            for run in runs:
                run.why_stopped = "shutdown"  # so it is handed back instead
        if time.monotonic() - batch.sent_at > options.lease_ms / 1000 * FENCE_FRACTION:
            await self._check_leases(runs)
        self._start(runs)
        if options.max_tasks and roster.claimed >= options.max_tasks:
            roster.recycle_reason = roster.recycle_reason or f"max_tasks of {options.max_tasks} reached"
            self._stop.set()

    async def _check_leases(self, runs: list[Run]) -> None:
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
