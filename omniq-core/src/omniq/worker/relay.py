"""Carries the outbox to the result and the event storage that do not share the queue's transactions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.transitions import reason
from omniq.worker.retrying import TRANSIENT, Contact, persist, repeat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.event import Event
    from omniq.storage.factory import Stores

__all__ = ["Relay"]

_log = logging.getLogger(__name__)

_BATCH = 1000
_SWEEP_S = 1.0
_SWEEP_AGE_MS = 1000


class Relay:
    """Writes what the transitions left in the outbox, then forgets it.

    Everything is idempotent: several workers may carry the same entries, and one may die at any point.

    Args:
        stores: The opened storages.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._queue = stores.task_queue
        self._results_joined = Role.RESULT_STORAGE in stores.joined
        self._events_joined = Role.EVENT_STORAGE in stores.joined
        self._kicked = asyncio.Event()
        self._contact = Contact("relaying events", _log)

    @property
    def is_needed(self) -> bool:
        """Whether there is an outbox at all."""
        return not (self._results_joined and self._events_joined)

    def kick(self) -> None:
        """Relay soon: something was just written."""
        self._kicked.set()

    async def run(self) -> None:
        """Relay after every kick, and once a second what dead processes left, until cancelled."""
        await repeat(self._step, self._contact)

    async def _step(self) -> float:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SWEEP_S):
                await self._kicked.wait()
        is_kicked = self._kicked.is_set()
        self._kicked.clear()
        try:
            await self.flush(0 if is_kicked else _SWEEP_AGE_MS)
        except BaseException:
            self._kicked.set()
            raise
        return 0.0

    async def flush(self, min_age_ms: int = 0) -> int:
        """Relay all entries that are at least so old; return how many."""
        count = 0
        while True:
            entries = await self._queue.outbox(_BATCH, min_age_ms=min_age_ms)
            if not entries:
                return count
            if not self._results_joined:
                await self._store_results(entries)
            if not self._events_joined:
                await self._stores.events.append(entries)
            await self._queue.outbox_ack(entries)
            count += len(entries)
            if len(entries) < _BATCH:
                return count

    async def _store_results(self, entries: Sequence[Event]) -> None:
        """Store the outcome of every task that ended without one.

        A worker stores the result before it completes a task, so a completed task without a result is one whose
        result has expired already.
        """
        ended = {entry.task_id: entry for entry in entries if entry.state in {TaskStatus.FAILED, TaskStatus.CANCELLED}}
        if not ended:
            return
        known = await self._stores.results.get(list(ended))
        missing = [
            entry
            for entry, record in zip(ended.values(), known, strict=True)
            if record is None
            or record.order < (entry.seq, entry.epoch)
            or (record.order == (entry.seq, entry.epoch) and record.status != entry.state)
        ]
        if not missing:
            return
        heads = await self._queue.get([entry.task_id for entry in missing])
        records = []
        for entry, head in zip(missing, heads, strict=True):
            same = head is not None and head.seq == entry.seq
            ttl_ms = head.body.result_ttl_ms if same and head is not None else None
            records.append(_outcome(entry, ttl_ms))
        replies = await persist(self._stores.results.put, records, patience=0.0, contact=self._contact)
        for record, reply in zip(records, replies, strict=True):
            if isinstance(reply, TRANSIENT):
                raise reply
            if isinstance(reply, Exception):
                _log.error("task %s: the result storage refuses how it ended (%s)", record.id, reply)


def _outcome(entry: Event, ttl_ms: int | None) -> ResultRecord:
    status = entry.state or TaskStatus.FAILED
    return ResultRecord(
        id=entry.task_id,
        seq=entry.seq,
        epoch=entry.epoch,
        status=status,
        error=reason(status, entry.error).to_json(),
        ttl_ms=ttl_ms,
    )
