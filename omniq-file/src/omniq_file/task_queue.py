"""The task queue role on files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

import attrs

from omniq.models.config import Role
from omniq.models.record import Failure
from omniq.storage.limits import check_results, check_specs
from omniq.storage.task_queue import TaskQueue
from omniq_file.bells import DONE, WORK
from omniq_file.machine import reading
from omniq_file.machine.queue_index import NEVER
from omniq_file.machine.schedules import advance_schedule
from omniq_file.machine.stored import UNREADABLE, StoredBody
from omniq_file.machine.tasks import Tasks
from omniq_file.payloads import Outgoing, bodies_of
from omniq_file.role import FileRole

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import (
        CancelReply,
        Completion,
        Enqueued,
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
    from omniq.models.status import TaskStatus
    from omniq.storage.schedules import Advance
    from omniq_file.machine.transaction import Transaction
    from omniq_file.options import FileOptions

__all__ = ["FileTaskQueue"]

T = TypeVar("T")
SettlingT = TypeVar("SettlingT", "Completion", "Failure")

_JOINABLE = frozenset({Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE})
_PATIENCE = 3600.0
_DAMAGED = "its payload cannot be read"


class FileTaskQueue(FileRole, TaskQueue):
    """Every operation is one entry of the log at most.

    Args:
        options: Which store.
        joined: The roles that this handle serves too.
    """

    def __init__(self, options: FileOptions, joined: frozenset[Role] = frozenset()) -> None:
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
        specs, blobs = await self._written(specs)
        return await self._change(lambda tasks: [tasks.enqueue(spec) for spec in specs], now, blobs)

    async def fire(
        self, specs: Sequence[TaskSpec], advance: Advance, *, now: int | None = None
    ) -> builtins.list[Enqueued] | None:
        if Role.SCHEDULE_STORAGE not in self._joined:
            return await super().fire(specs, advance, now=now)
        check_specs(specs, self.capabilities)
        specs, blobs = await self._written(specs)

        def run(tx: Transaction) -> list[Enqueued] | None:
            if not advance_schedule(tx, advance):
                return None
            tasks = Tasks(tx, self._joined)
            return [tasks.enqueue(spec) for spec in specs]

        return await self._ask(run, now=now, writes=True, blobs=blobs)

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
        grants = await self._change(lambda tasks: tasks.claim(queues, limit, worker, lease_ms, claim_id), now)
        grants = await self._filled_grants(grants)
        damaged = [Failure(grant.id, grant.token, _DAMAGED) for grant in grants if grant.body is UNREADABLE]
        if damaged:
            await self.fail(damaged, now=now)
        return [grant for grant in grants if grant.body is not UNREADABLE]

    async def held(self, worker: str, claim_id: str) -> builtins.list[Grant]:
        # As if it wrote, so that it comes behind a claim that was given up and is still under way.
        found = await self._ask(lambda tx: reading.held(tx.view, worker, claim_id), writes=True)
        return await self._filled_grants(found)

    async def heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None = None
    ) -> builtins.list[HeartbeatReply]:
        return await self._change(
            lambda tasks: [tasks.heartbeat(task_id, token, lease_ms) for task_id, token in tokens], now
        )

    async def complete(self, items: Sequence[Completion], *, now: int | None = None) -> builtins.list[SettleReply]:
        items, blobs = await self._settled(items)
        return await self._change(lambda tasks: [tasks.complete(item) for item in items], now, blobs)

    async def fail(self, items: Sequence[Failure], *, now: int | None = None) -> builtins.list[SettleReply]:
        items, blobs = await self._settled(items)
        return await self._change(lambda tasks: [tasks.fail(item) for item in items], now, blobs)

    async def release(self, items: Sequence[Release], *, now: int | None = None) -> builtins.list[SettleReply]:
        return await self._change(lambda tasks: [tasks.release(item) for item in items], now)

    async def recover(self, queues: Sequence[str], *, now: int | None = None) -> builtins.list[tuple[str, TaskStatus]]:
        return await self._change(lambda tasks: tasks.recover(queues), now)

    # Queues

    async def pause(self, queues: Sequence[str]) -> None:
        await self._ask(lambda tx: tx.pause(queues), writes=True)

    async def resume(self, queues: Sequence[str]) -> None:
        await self._ask(lambda tx: tx.resume(queues), writes=True)

    async def queues(self, *, now: int | None = None) -> builtins.list[QueueStats]:
        return await self._ask(lambda tx: reading.queue_stats(tx.view, tx.now), now=now)

    # Reading

    async def get(self, ids: Sequence[str]) -> builtins.list[TaskRecord | None]:
        return await self._filled_tasks(await self._ask(lambda tx: reading.find_tasks(tx.view, ids)))

    async def list(
        self,
        filter: TaskFilter | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        desc: bool = False,
        now: int | None = None,
    ) -> builtins.list[TaskRecord]:
        found = await self._ask(
            lambda tx: reading.list_tasks(tx.view, filter, after, limit, tx.now, desc=desc), now=now
        )
        filled = await self._filled_tasks(found)
        return [task for task in filled if task is not None]

    async def count(self, filter: TaskFilter | None = None, *, now: int | None = None) -> int:
        return await self._ask(lambda tx: reading.count_tasks(tx.view, filter, tx.now), now=now)

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
        at = await self._ask(lambda tx: reading.next_at(tx.view, queues))
        return None if at == NEVER else at

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        def look(tx: Transaction) -> tuple[bool | None, float]:
            seconds = (reading.next_at(tx.view, queues) - tx.now) / 1000
            return (True if seconds <= 0 else None), seconds

        await self._until([WORK + name for name in queues], look, timeout)

    async def wait_done(self, ids: Sequence[str], timeout: float) -> Mapping[str, TaskStatus | None]:
        def look(tx: Transaction) -> tuple[Mapping[str, TaskStatus | None] | None, float]:
            done = reading.finished(tx.view, ids, tx.now)
            seconds = (reading.next_expiry(tx.view, ids, tx.now) - tx.now) / 1000
            return (done if done or not ids else None), seconds

        return await self._until([DONE + task_id for task_id in ids], look, timeout) or {}

    # Outbox

    async def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int | None = None) -> builtins.list[Event]:
        return await self._ask(lambda tx: reading.read_outbox(tx.view, limit, tx.now - min_age_ms), now=now)

    async def outbox_ack(self, entries: Sequence[Event]) -> None:
        known = [(entry.seq, entry.version) for entry in entries]
        await self._ask(lambda tx: tx.ack(known), writes=True)

    # Inside

    async def _change(self, run: Callable[[Tasks], T], now: int | None, blobs: tuple[str, ...] = ()) -> T:
        return await self._ask(lambda tx: run(Tasks(tx, self._joined)), now=now, writes=True, blobs=blobs)

    async def _written(self, specs: Sequence[TaskSpec]) -> tuple[Sequence[TaskSpec], tuple[str, ...]]:
        """Write the payloads that are too large for the log."""
        outgoing = Outgoing(self._check_open().engine)
        bodies = [outgoing.body(spec.body) for spec in specs]
        if not outgoing.names:
            return specs, ()
        await outgoing.write()
        pairs = zip(specs, bodies, strict=True)
        return [spec if body is spec.body else attrs.evolve(spec, body=body) for spec, body in pairs], outgoing.names

    async def _settled(self, items: Sequence[SettlingT]) -> tuple[Sequence[SettlingT], tuple[str, ...]]:
        """Write the results that are too large for the log."""
        store = self._check_open()
        if Role.RESULT_STORAGE not in self._joined:
            return items, ()
        check_results((item.result for item in items), store.capabilities)
        outgoing = Outgoing(store.engine)
        results = [outgoing.result(item.result) for item in items]
        if not outgoing.names:
            return items, ()
        await outgoing.write()
        return [item._replace(result=result) for item, result in zip(items, results, strict=True)], outgoing.names

    async def _filled_tasks(self, tasks: Sequence[TaskRecord | None]) -> builtins.list[TaskRecord | None]:
        """Read the payloads that are not in the log; a task that was purged meanwhile is not there any more."""
        stored = [task for task in tasks if task is not None and type(task.body) is StoredBody]
        if not stored:
            return [*tasks]
        engine = self._check_open().engine
        bodies = await bodies_of(engine, (task.body for task in stored))
        missing = [task for task in stored if task.body.blob not in bodies]  # type: ignore[attr-defined]
        for task in stored:
            task.body = bodies.get(task.body.blob, UNREADABLE)  # type: ignore[attr-defined]
        if not missing:
            return [*tasks]
        alive = await self._ask(lambda tx: {task.seq for task in missing if task.seq in tx.view.by_seq})
        gone = {task.seq for task in missing} - alive
        return [None if task is not None and task.seq in gone else task for task in tasks]

    async def _filled_grants(self, grants: builtins.list[Grant]) -> builtins.list[Grant]:
        if any(type(grant.body) is StoredBody for grant in grants):
            bodies = await bodies_of(self._check_open().engine, (grant.body for grant in grants))
            for grant in grants:
                if type(grant.body) is StoredBody:
                    grant.body = bodies.get(grant.body.blob, UNREADABLE)
        return grants
