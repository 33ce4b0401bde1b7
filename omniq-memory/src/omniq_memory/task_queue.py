"""The task queue role in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar, cast

from omniq.models.config import Role
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage import transitions
from omniq.storage.limits import check_results, check_specs
from omniq.storage.task_queue import TaskQueue
from omniq_memory import reading
from omniq_memory.handle import MemoryHandle
from omniq_memory.journal import Journal
from omniq_memory.queue_index import NEVER
from omniq_memory.records import copy_record
from omniq_memory.schedules import advance_schedule
from omniq_memory.waiting import Waiter

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import (
        CancelReply,
        Completion,
        Enqueued,
        Failure,
        Grant,
        HeartbeatReply,
        QueueStats,
        RedriveReply,
        Release,
        SettleReply,
        TaskFilter,
        TaskRecord,
        TaskSpec,
        Token,
    )
    from omniq.storage.schedules import Advance
    from omniq_memory.state import MemoryState

__all__ = ["MemoryTaskQueue"]

ItemT = TypeVar("ItemT")
ReplyT = TypeVar("ReplyT")

_JOINABLE = frozenset({Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE})


class MemoryTaskQueue(MemoryHandle, TaskQueue):
    """The asynchronous face of `TaskTable`: every operation is one synchronous step under the store's lock.

    Args:
        state: The store.
        joined: The roles that this handle serves too.
    """

    def __init__(self, state: MemoryState, joined: frozenset[Role] = frozenset()) -> None:
        super().__init__(state)
        self._tasks = state.tasks
        self.join(joined)

    def sibling(self) -> Self:
        return type(self)(self._shared, self._joined)

    def join(self, roles: frozenset[Role]) -> frozenset[Role]:
        state = self._shared
        self._joined = roles & _JOINABLE
        self._journal = Journal(state.log, state.results, state.tasks.outbox, self._joined)
        return self._joined

    async def time(self) -> int:
        return self._state.clock.now()

    # Producers

    async def enqueue(self, specs: Sequence[TaskSpec], *, now: int | None = None) -> builtins.list[Enqueued]:
        state = self._state
        check_specs(specs, self._capabilities)
        with state.lock:
            return self._enqueue(specs, state.clock.now() if now is None else now)

    async def fire(
        self, specs: Sequence[TaskSpec], advance: Advance, *, now: int | None = None
    ) -> builtins.list[Enqueued] | None:
        state = self._state
        if Role.SCHEDULE_STORAGE not in self._joined:
            return await super().fire(specs, advance, now=now)
        check_specs(specs, self._capabilities)
        with state.lock:
            if not advance_schedule(state.schedules, advance):
                return None
            return self._enqueue(specs, state.clock.now() if now is None else now)

    async def cancel(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[CancelReply]:
        return self._each(ids, self._cancel, now)

    async def redrive(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[RedriveReply]:
        return self._each(ids, self._redrive, now)

    # Workers

    async def claim(
        self,
        queues: Sequence[str],
        limit: int,
        worker: str,
        lease_ms: int,
        claim_id: str,
        *,
        now: int | None = None,
    ) -> builtins.list[Grant]:
        state = self._state
        with state.lock:
            at = state.clock.now() if now is None else now
            grants = self._tasks.claim(queues, limit, worker, lease_ms, claim_id, at, self._journal)
            self._journal.close_batch()
            return grants

    async def held(self, worker: str, claim_id: str) -> builtins.list[Grant]:
        with self._state.lock:
            return self._tasks.held(worker, claim_id)

    async def heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None = None
    ) -> builtins.list[HeartbeatReply]:
        return self._each(tokens, lambda item, at: self._extend(item, at, lease_ms), now)

    async def complete(self, items: Sequence[Completion], *, now: int | None = None) -> builtins.list[SettleReply]:
        state, journal = self._state, self._journal
        if journal.results is not None:
            check_results((item.result for item in items), self._capabilities)
        with state.lock:
            at = state.clock.now() if now is None else now
            answers = self._tasks.complete(items, at, journal)
            journal.close_batch()
            return answers

    async def fail(self, items: Sequence[Failure], *, now: int | None = None) -> builtins.list[SettleReply]:
        if self._journal.results is not None:
            check_results((item.result for item in items), self._capabilities)
        return self._each(items, self._fail, now)

    async def release(self, items: Sequence[Release], *, now: int | None = None) -> builtins.list[SettleReply]:
        return self._each(items, self._release, now)

    async def recover(self, queues: Sequence[str], *, now: int | None = None) -> builtins.list[tuple[str, TaskStatus]]:
        state, tasks = self._state, self._tasks
        with state.lock:
            at = state.clock.now() if now is None else now
            answers = tasks.recover(tasks.known(queues), at, self._journal)
            self._journal.close_batch()
            return answers

    # Queues

    async def pause(self, queues: Sequence[str]) -> None:
        with self._state.lock:
            for name in queues:
                self._tasks.queue(name).paused = True

    async def resume(self, queues: Sequence[str]) -> None:
        tasks = self._tasks
        with self._state.lock:
            for index in tasks.known(queues):
                index.paused = False
                tasks.work.wake(index.name)
                if not index.total:
                    del tasks.queues[index.name]

    async def queues(self, *, now: int | None = None) -> builtins.list[QueueStats]:
        state = self._state
        with state.lock:
            at = state.clock.now() if now is None else now
            return [reading.queue_stats(index, at) for _, index in sorted(self._tasks.queues.items())]

    # Reading

    async def get(self, ids: Sequence[str]) -> builtins.list[TaskRecord | None]:
        with self._state.lock:
            records = [self._tasks.records.get(task_id) for task_id in ids]
            return [None if record is None else copy_record(record) for record in records]

    async def list(
        self,
        filter: TaskFilter | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        desc: bool = False,
        now: int | None = None,
    ) -> builtins.list[TaskRecord]:
        state = self._state
        with state.lock:
            at = state.clock.now() if now is None else now
            return reading.list_tasks(self._tasks, filter, after, limit, at, desc=desc)

    async def count(self, filter: TaskFilter | None = None, *, now: int | None = None) -> int:
        state = self._state
        with state.lock:
            return reading.count_tasks(self._tasks, filter, state.clock.now() if now is None else now)

    async def purge(
        self,
        states: frozenset[TaskStatus],
        before: int,
        limit: int = 1000,
        *,
        pinned_before: int | None = None,
    ) -> builtins.list[str]:
        tasks = self._tasks
        with self._state.lock:
            bound = before if pinned_before is None else pinned_before
            old = tasks.retention.take(states, before, bound, limit, lambda record: not tasks.outbox.has(record.seq))
            for record in old:
                tasks.forget(record)
            return [record.id for record in old]

    # Waiting

    async def next_at(self, queues: Sequence[str]) -> int | None:
        with self._state.lock:
            at = self._next_at(queues)
            return None if at == NEVER else at

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        state, board = self._state, self._tasks.work
        with state.lock:
            # The state tells all that became possible before; whatever does from here on wakes the waiter.
            seconds = min(timeout, (self._next_at(queues) - state.clock.now()) / 1000)
            if seconds > 0:
                waiter = Waiter()
                board.add(queues, waiter)
        if seconds > 0:
            await self._sleep(board, queues, waiter, seconds)
        else:
            await asyncio.sleep(0)

    async def wait_done(self, ids: Sequence[str], timeout: float) -> Mapping[str, TaskStatus | None]:
        state, tasks = self._state, self._tasks
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            with state.lock:
                now = state.clock.now()
                records = {task_id: tasks.records.get(task_id) for task_id in ids}
                ends = {task_id: reading.end_of(record, now) for task_id, record in records.items()}
                done = {task_id: status for task_id, (ended, status) in ends.items() if ended}
                seconds = deadline - loop.time()
                if done or not records or seconds <= 0:
                    break
                expiries = [record.expires_at for record in records.values() if record and record.expires_at]
                expiry = min((each for each in expiries if each > now), default=NEVER)
                waiter = Waiter()
                tasks.done.add(records, waiter)
            await self._sleep(tasks.done, records, waiter, min(seconds, (expiry - now) / 1000))
            if not self._open:
                return {}
        await asyncio.sleep(0)
        return done

    # Outbox

    async def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int | None = None) -> builtins.list[Event]:
        state = self._state
        with state.lock:
            at = state.clock.now() if now is None else now
            return self._tasks.outbox.read(limit, at - min_age_ms)

    async def outbox_ack(self, entries: Sequence[Event]) -> None:
        with self._state.lock:
            self._tasks.outbox.acknowledge(entries)

    # One item, under the lock

    def _each(
        self, items: Sequence[ItemT], change: Callable[[ItemT, int], ReplyT], now: int | None
    ) -> builtins.list[ReplyT]:
        state = self._state
        with state.lock:
            at = state.clock.now() if now is None else now
            answers = [change(item, at) for item in items]
            self._journal.close_batch()
            return answers

    def _enqueue(self, specs: Sequence[TaskSpec], at: int) -> builtins.list[Enqueued]:
        answers = self._tasks.enqueue(specs, at, self._journal)
        self._journal.close_batch()
        return answers

    def _cancel(self, task_id: str, at: int) -> CancelReply:
        record = self._tasks.records.get(task_id)
        if record is None:
            return "missing"
        if record.state in TERMINAL:
            return "finished"
        waited = record.state is TaskStatus.PENDING
        step = transitions.cancel(record, at)
        if step is not None:
            self._tasks.change(record, step, at, self._journal)
        return "cancelled" if waited else "requested"

    def _redrive(self, task_id: str, at: int) -> RedriveReply:
        record = self._tasks.records.get(task_id)
        if record is None:
            return "missing"
        if record.state not in transitions.REDRIVABLE:
            return "invalid"
        if record.unique_key is not None and (record.queue, record.unique_key) in self._tasks.holders:
            return "conflict"
        self._tasks.change(record, transitions.redrive(record, at), at, self._journal)
        return "ok"

    def _extend(self, item: tuple[str, Token], at: int, lease_ms: int) -> HeartbeatReply:
        record = self._tasks.records.get(item[0])
        if record is None or not transitions.is_current(record, item[1]):
            return "lost"
        record.lease_until = max(record.lease_until or 0, at + lease_ms)
        return "cancel" if record.cancel_requested else "ok"

    def _fail(self, item: Failure, at: int) -> SettleReply:
        record = self._tasks.records.get(item.id)
        if record is None or not transitions.is_current(record, item.token):
            return transitions.settled_reply(record, item.token)
        step = transitions.fail(record, at, error=item.error, retry_at=item.retry_at)
        return _reply(self._tasks.change(record, step, at, self._journal, item.result))

    def _release(self, item: Release, at: int) -> SettleReply:
        record = self._tasks.records.get(item.id)
        if record is None or not transitions.is_current(record, item.token):
            return transitions.settled_reply(record, item.token)
        return _reply(
            self._tasks.change(record, transitions.release(record, at, ready_at=item.ready_at), at, self._journal)
        )

    def _next_at(self, queues: Sequence[str]) -> int:
        return min((index.next_at() for index in self._tasks.known(queues)), default=NEVER)


def _reply(state: TaskStatus) -> SettleReply:
    """Return the state's text, as all other replies are plain text."""
    return cast("SettleReply", state.value)
