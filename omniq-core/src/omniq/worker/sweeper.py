"""Embedded upkeep: recovers stale tasks of idle queues, and removes what is older than its retention."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from omniq.models.status import TERMINAL
from omniq.worker.retrying import Contact, repeat

if TYPE_CHECKING:
    from omniq.models.config import OmniQConfig
    from omniq.storage.factory import Stores
    from omniq.worker.options import WorkerOptions

__all__ = ["Sweeper"]

_log = logging.getLogger(__name__)

_BATCH = 1000
_BATCHES_A_PASS = 10
_DAY_MS = 24 * 3600 * 1000
_IDLE_PAUSE_S = 60.0
_BUSY_PAUSE_S = 1.0
_RECOVER_PAUSE_S = 1.0


class Sweeper:
    """The upkeep loops of one worker; every worker runs them, and that does no harm.

    Args:
        stores: The opened storages.
        config: The retention times.
        options: The worker's options.
    """

    def __init__(self, stores: Stores, config: OmniQConfig, options: WorkerOptions) -> None:
        self._stores = stores
        self._queues = options.queues
        self._task_retention_ms = _millis(config.task_retention)
        self._event_retention_ms = _millis(config.event_retention)
        self._contact = Contact("removing what is older than its retention", _log)

    async def recover(self) -> None:
        """Recover once a second, until cancelled; claims do it too, but not while all slots are taken."""
        await repeat(self._recover_step, Contact("recovering stale tasks", _log))

    async def run(self) -> None:
        """Remove in bounded passes, until cancelled; soon again after a pass that found much."""
        await asyncio.sleep(_spread(_BUSY_PAUSE_S))
        await repeat(self._sweep_step, self._contact)

    async def _recover_step(self) -> float:
        queue = self._stores.task_queue
        next_at = await queue.next_at(self._queues)
        if next_at is not None and next_at <= await queue.time():
            await queue.recover(self._queues)
        return _spread(_RECOVER_PAUSE_S)

    async def _sweep_step(self) -> float:
        return _spread(_BUSY_PAUSE_S if await self.sweep() else _IDLE_PAUSE_S)

    async def sweep(self) -> bool:
        """Remove a bounded number of what is too old; tell whether there may be more."""
        more = False
        for step in (self._purge_tasks, self._purge_results, self._trim_events):
            for _ in range(_BATCHES_A_PASS):
                if await step() < _BATCH:
                    break
                await asyncio.sleep(0)
            else:
                more = True
        return more

    async def _purge_tasks(self) -> int:
        if self._task_retention_ms is None:
            return 0
        now = await self._stores.task_queue.time()
        before = now - self._task_retention_ms
        pinned_before = now - max(self._task_retention_ms, _DAY_MS)
        return len(await self._stores.task_queue.purge(TERMINAL, before, _BATCH, pinned_before=pinned_before))

    async def _purge_results(self) -> int:
        return await self._stores.results.purge_expired(_BATCH)

    async def _trim_events(self) -> int:
        if self._event_retention_ms is None:
            return 0
        now = await self._stores.task_queue.time()
        return await self._stores.events.trim(now - self._event_retention_ms, _BATCH)


def _millis(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _spread(seconds: float) -> float:
    """Return the time with jitter, so that the workers of a fleet do not sweep in step."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, protects nothing
