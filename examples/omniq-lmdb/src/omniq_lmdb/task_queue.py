"""The task queue role on LMDB."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Self, TypeVar

from omniq.models.config import Role
from omniq.models.record import Grant, QueueStats
from omniq.models.status import TERMINAL, TaskStatus, TaskView
from omniq.storage.limits import check_results, check_specs
from omniq.storage.task_queue import TaskQueue
from omniq.storage.transitions import is_expired
from omniq_lmdb.codec import digest, load_event, name_key, number, number_of
from omniq_lmdb.role import LmdbRole
from omniq_lmdb.schedules import advance_schedule
from omniq_lmdb.store import PAST, Transaction, host_time
from omniq_lmdb.tasks import Tasks, all_tasks, find, load

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import (
        CancelReply,
        Completion,
        Enqueued,
        Failure,
        HeartbeatReply,
        RedriveReply,
        Release,
        SettleReply,
        TaskFilter,
        TaskRecord,
        TaskSpec,
        Token,
    )
    from omniq.storage.schedules import Advance
    from omniq_lmdb.options import LmdbOptions

__all__ = ["LmdbTaskQueue"]

T = TypeVar("T")

_JOINABLE = frozenset({Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE})
_PATIENCE = 3600.0


class LmdbTaskQueue(LmdbRole, TaskQueue):
    """Every operation is one transaction on `Tasks`; waits look again after every commit."""

    def __init__(self, options: LmdbOptions, joined: frozenset[Role] = frozenset()) -> None:
        super().__init__(options)
        self._joined = joined

    def sibling(self) -> Self:
        return type(self)(self._options, self._joined)

    def join(self, roles: frozenset[Role]) -> frozenset[Role]:
        self._joined = roles & _JOINABLE
        return self._joined

    # Producers

    async def enqueue(self, specs: Sequence[TaskSpec], *, now: int | None = None) -> builtins.list[Enqueued]:
        check_specs(specs, self.capabilities)
        return await self._change(lambda tasks: [tasks.enqueue(spec) for spec in specs], now)

    async def fire(
        self, specs: Sequence[TaskSpec], advance: Advance, *, now: int | None = None
    ) -> builtins.list[Enqueued] | None:
        if Role.SCHEDULE_STORAGE not in self._joined:
            return await super().fire(specs, advance, now=now)
        check_specs(specs, self.capabilities)

        def run(tx: Transaction) -> list[Enqueued] | None:
            if not advance_schedule(tx, advance):
                return None
            tasks = Tasks(tx, _at(now), self._joined)
            return [tasks.enqueue(spec) for spec in specs]

        return await self._write(run)

    async def cancel(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[CancelReply]:
        return await self._change(lambda tasks: [tasks.cancel(task_id) for task_id in ids], now)

    async def redrive(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[RedriveReply]:
        return await self._change(lambda tasks: [tasks.redrive(task_id) for task_id in ids], now)

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
        return await self._change(lambda tasks: tasks.claim(queues, limit, worker, lease_ms, claim_id), now)

    async def held(self, worker: str, claim_id: str) -> builtins.list[Grant]:
        def run(tx: Transaction) -> list[Grant]:
            running = (load(tx, seq) for _, seq in tx.scan("leases"))
            held = [task for task in running if task.worker == worker and task.nonce == claim_id]
            return [Grant.of(task) for task in sorted(held, key=lambda task: (-task.priority, task.ready_at, task.seq))]

        return await self._write(run)  # behind a claim that was given up and is still under way

    async def heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None = None
    ) -> builtins.list[HeartbeatReply]:
        return await self._change(
            lambda tasks: [tasks.heartbeat(task_id, token, lease_ms) for task_id, token in tokens], now
        )

    async def complete(self, items: Sequence[Completion], *, now: int | None = None) -> builtins.list[SettleReply]:
        check_results((item.result for item in items), self.capabilities)
        return await self._change(lambda tasks: [tasks.complete(item) for item in items], now)

    async def fail(self, items: Sequence[Failure], *, now: int | None = None) -> builtins.list[SettleReply]:
        check_results((item.result for item in items), self.capabilities)
        return await self._change(lambda tasks: [tasks.fail(item) for item in items], now)

    async def release(self, items: Sequence[Release], *, now: int | None = None) -> builtins.list[SettleReply]:
        return await self._change(lambda tasks: [tasks.release(item) for item in items], now)

    async def recover(self, queues: Sequence[str], *, now: int | None = None) -> builtins.list[tuple[str, TaskStatus]]:
        return await self._change(lambda tasks: tasks.recover(queues), now)

    # Queues

    async def pause(self, queues: Sequence[str]) -> None:
        def run(tx: Transaction) -> None:
            for name in queues:
                tx.put("paused", name_key(name))

        await self._write(run)

    async def resume(self, queues: Sequence[str]) -> None:
        await self._write(lambda tx: [tx.delete("paused", name_key(name)) for name in queues])

    async def queues(self, *, now: int | None = None) -> builtins.list[QueueStats]:
        return await self._read(lambda tx: _statistics(tx, _at(now)))

    # Reading

    async def get(self, ids: Sequence[str]) -> builtins.list[TaskRecord | None]:
        return await self._read(lambda tx: [find(tx, task_id) for task_id in ids])

    async def list(
        self,
        filter: TaskFilter | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        desc: bool = False,
        now: int | None = None,
    ) -> builtins.list[TaskRecord]:
        def run(tx: Transaction) -> list[TaskRecord]:
            at, tasks = _at(now), all_tasks(tx, after, desc=desc)
            found = (task for task in tasks if filter is None or filter.matches(task, at))
            return list(islice(found, max(limit, 0)))

        return await self._read(run)

    async def count(self, filter: TaskFilter | None = None, *, now: int | None = None) -> int:
        def run(tx: Transaction) -> int:
            at = _at(now)
            return tx.count("heads") if filter is None else sum(filter.matches(task, at) for task in all_tasks(tx))

        return await self._read(run)

    async def purge(
        self,
        states: frozenset[TaskStatus],
        before: int,
        limit: int = 1000,
        *,
        pinned_before: int | None = None,
    ) -> builtins.list[str]:
        bound = before if pinned_before is None else pinned_before
        return await self._change(lambda tasks: tasks.purge(states, before, limit, bound), None)

    # Waiting

    async def next_at(self, queues: Sequence[str]) -> int | None:
        return await self._read(lambda tx: _next_at(tx, queues))

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        async def look() -> tuple[bool | None, float]:
            at = await self._read(lambda tx: _next_at(tx, queues))
            seconds = _PATIENCE if at is None else (at - host_time()) / 1000
            return (True if seconds <= 0 else None), seconds

        await self._until(look, timeout)

    async def wait_done(self, ids: Sequence[str], timeout: float) -> Mapping[str, TaskStatus | None]:
        async def look() -> tuple[dict[str, TaskStatus | None] | None, float]:
            tasks = await self._read(lambda tx: {task_id: find(tx, task_id) for task_id in ids})
            now = host_time()
            done = {task_id: _end_of(task, now) for task_id, task in tasks.items() if not _is_open(task, now)}
            expiries = [task.expires_at for task in tasks.values() if task is not None and task.expires_at is not None]
            later = [expires_at for expires_at in expiries if expires_at > now]
            return (done if done or not ids else None), ((min(later) - now) / 1000 if later else _PATIENCE)

        return await self._until(look, timeout) or {}

    # Outbox

    async def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int | None = None) -> builtins.list[Event]:
        return await self._read(lambda tx: _outbox(tx, limit, _at(now) - min_age_ms))

    async def outbox_ack(self, entries: Sequence[Event]) -> None:
        def run(tx: Transaction) -> None:
            for event in entries:
                key = number(event.seq) + number(event.version)
                place = tx.get("owed", key)
                if place is not None:
                    tx.delete("owed", key)
                    tx.delete("outbox", place)

        await self._write(run)

    async def _change(self, run: Callable[[Tasks], T], now: int | None) -> T:
        return await self._write(lambda tx: run(Tasks(tx, _at(now), self._joined)))


def _at(now: int | None) -> int:
    """Return the time of an operation; read inside the transaction, so that it grows from one commit to the next."""
    return host_time() if now is None else now


def _next_at(tx: Transaction, queues: Sequence[str]) -> int | None:
    found: list[int] = []
    for name in dict.fromkeys(queues):
        prefixes = [("leases", digest(name))]
        if tx.get("paused", name_key(name)) is None:
            prefixes += [("ready", digest(name) + bytes([rank])) for rank in range(10)]
        for table, prefix in prefixes:
            first = next(tx.scan(table, prefix, prefix + PAST), None)
            if first is not None:
                found.append(number_of(first[0][len(prefix) : -8]))
    return min(found, default=None)


def _is_open(task: TaskRecord | None, now: int) -> bool:
    return task is not None and task.state not in TERMINAL and not is_expired(task, now)


def _end_of(task: TaskRecord | None, now: int) -> TaskStatus | None:
    if task is None:
        return None
    return TaskStatus.FAILED if is_expired(task, now) else task.state


def _outbox(tx: Transaction, limit: int, latest: int) -> list[Event]:
    found: list[Event] = []
    left_out: set[int] = set()
    for _, value in tx.scan("outbox"):
        if len(found) >= limit:
            break
        event = load_event(value)
        if event.at > latest:
            left_out.add(event.seq)
        elif event.seq not in left_out:
            found.append(event)
    return found


def _statistics(tx: Transaction, now: int) -> list[QueueStats]:
    views: defaultdict[str, list[TaskStatus | TaskView]] = defaultdict(list)
    oldest: dict[str, int] = {}
    paused = {key.decode() for key, _ in tx.scan("paused")}
    for task in all_tasks(tx):
        view = task.view(now)
        views[task.queue].append(view)
        if view is TaskView.READY:
            oldest[task.queue] = min(task.ready_at, oldest.get(task.queue, task.ready_at))
    return [
        QueueStats(
            name=name,
            paused=name in paused,
            scheduled=views[name].count(TaskView.SCHEDULED),
            ready=views[name].count(TaskView.READY),
            expired=views[name].count(TaskView.EXPIRED),
            running=views[name].count(TaskStatus.RUNNING) + views[name].count(TaskView.STALE),
            stale=views[name].count(TaskView.STALE),
            completed=views[name].count(TaskStatus.COMPLETED),
            failed=views[name].count(TaskStatus.FAILED),
            cancelled=views[name].count(TaskStatus.CANCELLED),
            oldest_ready_at=oldest.get(name),
        )
        for name in sorted(views.keys() | paused)
    ]
