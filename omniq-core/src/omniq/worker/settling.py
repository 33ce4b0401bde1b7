"""Records outcomes: one batch is written while the next one collects."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from omniq.errors import LimitExceededError
from omniq.models.config import Role
from omniq.models.error import ErrorInfo
from omniq.models.record import Completion, Failure, Release
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.worker.accounting import account, log_failure
from omniq.worker.retrying import Contact, persist

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.record import SettleReply
    from omniq.storage.factory import Stores
    from omniq.worker.context import Run
    from omniq.worker.options import WorkerOptions
    from omniq.worker.roster import Roster

__all__ = ["Settler"]

_log = logging.getLogger(__name__)

_new_tuple = tuple.__new__
_COMPLETED, _FAILED, _CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


class _Failed(NamedTuple):
    run: Run
    error: ErrorInfo
    delay_ms: int | None
    record: ResultRecord


class _Returned(NamedTuple):
    run: Run
    delay_ms: int


class Settler:
    """Group commit of outcomes.

    Whatever ended during one turn of the loop, or while a write was on its way, is written by the next call. There is
    no timer, so a lone outcome is written at once.

    Args:
        stores: The opened storages.
        roster: The runs; those that are recorded are dropped from it.
        options: The worker's options.
        codec: The name of the serializer that encodes results.
        settled: Called after every write that recorded something.
    """

    def __init__(
        self, stores: Stores, roster: Roster, options: WorkerOptions, codec: str, settled: Callable[[], None]
    ) -> None:
        self._codec = codec
        self._queue = stores.task_queue
        self._results = stores.results
        self._results_joined = Role.RESULT_STORAGE in stores.joined
        self._max_value = stores.results.capabilities.max_payload_bytes
        self._roster = roster
        self._patience = options.lease_ms / 1000
        self._settled = settled
        self._completed: list[Run] = []
        self._completions: list[Completion] = []
        self._failures: list[_Failed] = []
        self._returns: list[_Returned] = []
        self._sleeper: asyncio.Future[None] | None = None
        self._writing = False
        self._contact = Contact("recording outcomes", _log)
        self._results_contact = Contact("storing results", _log)

    def complete(self, run: Run, value: bytes) -> None:
        """Record a result."""
        if len(value) > self._max_value:
            self._fail_large(run, len(value))
            return
        grant = run.grant
        token = grant.token
        task_id = grant.id
        seq, epoch, _ = token
        record = ResultRecord(task_id, seq, epoch, _COMPLETED, value, self._codec, None, grant.body.result_ttl_ms)
        self._completed.append(run)
        # What `Completion(...)` does, in half the time: this runs for every task.
        self._completions.append(_new_tuple(Completion, (task_id, token, record)))
        if self._sleeper is not None:
            self._wake()

    def _fail_large(self, run: Run, size: int) -> None:
        text = f"the result has {size} bytes, and the result storage takes {self._max_value}; return where it is stored"
        self.fail(run, ErrorInfo(type="result too large", message=text), None)

    def fail(self, run: Run, error: ErrorInfo, delay_ms: int | None) -> None:
        """Record a failed attempt; with a delay it is tried again if attempts are left."""
        grant = run.grant
        record = ResultRecord(
            id=grant.id,
            seq=grant.token.seq,
            epoch=grant.token.epoch,
            status=_FAILED,
            error=error.to_json(),
            ttl_ms=grant.body.result_ttl_ms,
        )
        self._failures.append(_Failed(run, error, delay_ms, record))
        self._wake()

    def release(self, run: Run, delay_ms: int = 0) -> None:
        """Hand a run back; its attempt does not count."""
        self._returns.append(_Returned(run, delay_ms))
        self._wake()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to write."""
        return not (self._writing or self._completions or self._failures or self._returns)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            if not (self._completions or self._failures or self._returns):
                self._sleeper = asyncio.get_running_loop().create_future()
                await self._sleeper
            self._writing = True
            try:
                await self._flush()
            finally:
                self._writing = False
            self._settled()
            self._roster.wake()

    def _wake(self) -> None:
        sleeper, self._sleeper = self._sleeper, None
        if sleeper is not None and not sleeper.done():
            sleeper.set_result(None)

    async def _flush(self) -> None:
        if self._completions:
            runs, self._completed = self._completed, []
            completions, self._completions = self._completions, []
            await self._write_completions(runs, completions)
        if self._failures:
            failures, self._failures = self._failures, []
            await self._write_failures(failures)
        if self._returns:
            returns, self._returns = self._returns, []
            await self._write_returns(returns)

    # Completions

    async def _write_completions(self, runs: list[Run], items: list[Completion]) -> None:
        if not self._results_joined:
            runs, items = await self._store(runs, items)
        if not items:
            return
        replies = await self._persist(self._queue.complete, items)
        roster = self._roster
        if replies.count("ok") == len(runs):
            roster.completed += len(runs)
            roster.drop_all(runs)
            return
        for run, reply in zip(runs, replies, strict=True):
            if isinstance(reply, LimitExceededError):
                self.fail(run, ErrorInfo.from_exception(reply), None)
            else:
                account(roster, run, reply, _COMPLETED)

    async def _store(self, runs: list[Run], items: list[Completion]) -> tuple[list[Run], list[Completion]]:
        """Put results into their own storage; what cannot be put there is not completed but tried again."""
        records = [item.result for item in items if item.result is not None]
        patience = self._patience
        replies = await persist(self._results.put, records, patience=patience, contact=self._results_contact)
        stored = []
        for run, reply in zip(runs, replies, strict=True):
            if isinstance(reply, LimitExceededError):
                self.fail(run, ErrorInfo.from_exception(reply), None)
            elif isinstance(reply, Exception):
                error = ErrorInfo(type="result not stored", message=ErrorInfo.from_exception(reply).summary())
                self.fail(run, error, round(patience * 1000))
            else:
                stored.append(run)
        return stored, [Completion(run.grant.id, run.grant.token) for run in stored]

    # Failures

    async def _write_failures(self, batch: list[_Failed]) -> None:
        if not self._results_joined:
            ending = [f.record for f in batch if f.delay_ms is None or f.run.grant.attempt >= f.run.grant.max_attempts]
            if ending:
                # What cannot be stored now is stored by the relay, from the outbox.
                await persist(self._results.put, ending, patience=0.0, contact=self._results_contact)
        now = await self._time() if any(f.delay_ms is not None for f in batch) else 0
        items = [
            Failure(
                f.run.grant.id,
                f.run.grant.token,
                f.error.summary(),
                None if f.delay_ms is None else now + f.delay_ms,
                f.record if self._results_joined else None,
            )
            for f in batch
        ]
        replies = await self._persist(self._queue.fail, items)
        roster = self._roster
        cancelled = []
        for failed, reply in zip(batch, replies, strict=True):
            if reply == _CANCELLED and not self._results_joined:
                failed.record.status = _CANCELLED
                cancelled.append(failed.record)
            log_failure(failed.run, failed.error, failed.delay_ms, reply)
            account(roster, failed.run, reply, _FAILED)
        if cancelled:
            await persist(self._results.put, cancelled, patience=0.0, contact=self._results_contact)

    # Releases

    async def _write_returns(self, batch: list[_Returned]) -> None:
        now = await self._time() if any(returned.delay_ms for returned in batch) else 0
        items = [Release(run.grant.id, run.grant.token, now + delay_ms if delay_ms else 0) for run, delay_ms in batch]
        replies = await self._persist(self._queue.release, items)
        for (run, _), reply in zip(batch, replies, strict=True):
            account(self._roster, run, reply, TaskStatus.PENDING)

    # Both

    async def _time(self) -> int:
        """Return the queue's clock; 0, which is "at once", if it cannot be asked."""

        async def ask(_: Sequence[None]) -> list[int]:
            return [await self._queue.time()]

        answer = (await persist(ask, [None], patience=self._patience, contact=self._contact))[0]
        return answer if isinstance(answer, int) else 0

    async def _persist(self, call: Any, items: Sequence[Any]) -> Sequence[SettleReply | Exception]:
        tries = 0

        async def counted(batch: Sequence[Any]) -> Sequence[SettleReply]:
            nonlocal tries
            tries += 1
            return await call(batch)  # type: ignore[no-any-return]

        replies = await persist(counted, items, patience=self._patience, contact=self._contact)
        if tries == 1 and "already" in replies:
            # We asked once, so it was not us who settled it: the task was recovered and waits to run again.
            return ["lost" if reply == "already" else reply for reply in replies]
        return replies
