"""The task queue role on SQLite."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self, TypeVar

from omniq.models.config import Role
from omniq.models.record import QueueStats
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.limits import check_results, check_specs
from omniq.storage.task_queue import TaskQueue
from omniq_sqlite import claiming, settling, transitions
from omniq_sqlite.connection import Database, host_time
from omniq_sqlite.enqueuing import Chunk, enqueue, prepare
from omniq_sqlite.filters import task_conditions
from omniq_sqlite.ledger import Ledger
from omniq_sqlite.role import SQLiteRole
from omniq_sqlite.rows import CODES, EVENT_COLUMNS, STATES, TASK_QUERY, event_from, record_from
from omniq_sqlite.schedules import advance
from omniq_sqlite.upkeep import back_up, find_damage
from omniq_sqlite.wake import DONE, EVENTS, WORK

if TYPE_CHECKING:
    import builtins
    import sqlite3
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from omniq.models.event import Event
    from omniq.models.record import (
        CancelReply,
        Completion,
        Enqueued,
        Failure,
        Grant,
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

__all__ = ["SQLiteTaskQueue"]

T = TypeVar("T")

_JOINABLE = frozenset({Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE})


class SQLiteTaskQueue(SQLiteRole, TaskQueue):
    """A task queue in one database file, shared by the processes of one host."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._ledger = Ledger()

    def sibling(self) -> Self:
        queue = type(self)(Database(self.shared.options))
        queue.join(self._ledger.joined)
        return queue

    def join(self, roles: frozenset[Role]) -> frozenset[Role]:
        self._ledger = Ledger(roles & _JOINABLE)
        return self._ledger.joined

    async def time(self) -> int:
        return host_time()

    async def enqueue(self, specs: Sequence[TaskSpec], *, now: int | None = None) -> list[Enqueued]:
        check_specs(specs, self.capabilities)
        return await self._write(enqueue, prepare(specs), now=now, kinds=WORK + EVENTS)

    async def fire(
        self, specs: Sequence[TaskSpec], advance: Advance, *, now: int | None = None
    ) -> list[Enqueued] | None:
        if Role.SCHEDULE_STORAGE not in self._ledger.joined:
            return await super().fire(specs, advance, now=now)
        check_specs(specs, self.capabilities)
        return await self._write(_fire, prepare(specs), advance, now=now, kinds=WORK + EVENTS)

    async def cancel(self, ids: Sequence[str], *, now: int | None = None) -> list[CancelReply]:
        return await self._write(transitions.cancel, ids, now=now, kinds=WORK + DONE + EVENTS)

    async def redrive(self, ids: Sequence[str], *, now: int | None = None) -> list[RedriveReply]:
        return await self._write(transitions.redrive, ids, now=now, kinds=WORK + EVENTS)

    async def claim(
        self,
        queues: Sequence[str],
        limit: int,
        worker: str,
        lease_ms: int,
        claim_id: str,
        *,
        now: int | None = None,
    ) -> list[Grant]:
        sweep = self.capabilities.max_sweep
        arguments = (list(queues), limit, worker, lease_ms, claim_id, sweep)
        claimed = await self._write(claiming.claim, *arguments, now=now, kinds=EVENTS)
        if claimed is None:
            return []
        grants, damaged = claiming.grants_of(claimed)
        for seq, reason in damaged:
            await self._write(transitions.fail_damaged, seq, reason, now=now, kinds=DONE + EVENTS)
        return grants

    async def held(self, worker: str, claim_id: str) -> list[Grant]:
        return await self.opened.write(lambda connection: claiming.held(connection, worker, claim_id))

    async def heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None = None
    ) -> list[HeartbeatReply]:
        return await self.opened.write(
            lambda connection: settling.heartbeat(connection, tokens, lease_ms, host_time() if now is None else now)
        )

    async def complete(self, items: Sequence[Completion], *, now: int | None = None) -> list[SettleReply]:
        check_results([item.result for item in items], self.capabilities)
        kinds = DONE + EVENTS  # the next run of a series is never ready at once
        return await self._write(settling.complete, settling.prepare(items), now=now, kinds=kinds)

    async def fail(self, items: Sequence[Failure], *, now: int | None = None) -> list[SettleReply]:
        check_results([item.result for item in items], self.capabilities)
        return await self._write(transitions.fail, items, now=now, kinds=WORK + DONE + EVENTS)

    async def release(self, items: Sequence[Release], *, now: int | None = None) -> list[SettleReply]:
        return await self._write(transitions.release, items, now=now, kinds=WORK + DONE + EVENTS)

    async def recover(self, queues: Sequence[str], *, now: int | None = None) -> list[tuple[str, TaskStatus]]:
        sweep = self.capabilities.max_sweep
        return await self._write(transitions.recover, queues, sweep, now=now, kinds=WORK + DONE + EVENTS)

    async def pause(self, queues: Sequence[str]) -> None:
        await self.opened.write(
            lambda connection: connection.executemany(
                "INSERT OR IGNORE INTO paused (queue) VALUES (?)", [(queue,) for queue in queues]
            )
        )

    async def resume(self, queues: Sequence[str]) -> None:
        await self.opened.write(
            lambda connection: connection.executemany(
                "DELETE FROM paused WHERE queue = ?", [(queue,) for queue in queues]
            ),
            WORK,
        )

    async def queues(self, *, now: int | None = None) -> list[QueueStats]:
        now = host_time() if now is None else now
        rows = await self.opened.read(_STATS, {"now": now})
        return [
            QueueStats(name=row[0], paused=bool(row[1]), **dict(zip(_COUNTS, row[2:], strict=True))) for row in rows
        ]

    async def get(self, ids: Sequence[str]) -> list[TaskRecord | None]:
        rows = await self.opened.read(
            f"{TASK_QUERY} WHERE task.id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
        )
        found = {record.id: record for record in map(record_from, rows)}
        return [found.get(task_id) for task_id in ids]

    async def list(
        self,
        filter: TaskFilter | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        desc: bool = False,
        now: int | None = None,
    ) -> builtins.list[TaskRecord]:
        condition, parameters = task_conditions(filter, host_time() if now is None else now)
        if after is not None:
            condition += f" AND task.seq {'<' if desc else '>'} :after"
        order = "DESC" if desc else "ASC"
        rows = await self.opened.read(
            f"{TASK_QUERY} WHERE {condition} ORDER BY task.seq {order} LIMIT :limit",
            {**parameters, "after": after, "limit": limit},
        )
        return [record_from(row) for row in rows]

    async def count(self, filter: TaskFilter | None = None, *, now: int | None = None) -> int:
        condition, parameters = task_conditions(filter, host_time() if now is None else now)
        ((count,),) = await self.opened.read(f"SELECT count(*) FROM task WHERE {condition}", parameters)
        return int(count)

    async def purge(
        self,
        states: frozenset[TaskStatus],
        before: int,
        limit: int = 1000,
        *,
        pinned_before: int | None = None,
    ) -> builtins.list[str]:
        codes = [CODES[state] for state in states & TERMINAL]
        pinned_before = before if pinned_before is None else pinned_before
        return await self.opened.write(lambda connection: _purge(connection, codes, before, pinned_before, limit))

    async def next_at(self, queues: Sequence[str]) -> int | None:
        ((at,),) = await self.opened.read(_NEXT_AT, {"queues": json.dumps(builtin_list(queues))})
        return None if at is None else int(at)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        async def look() -> tuple[bool | None, float]:
            at = await self.next_at(queues)
            patience = timeout if at is None else (at - host_time()) / 1000
            return (True, 0) if patience <= 0 < timeout else (None, patience)

        await self.opened.wait_until(WORK, look, timeout, on_bell=True)

    async def wait_done(self, ids: Sequence[str], timeout: float) -> Mapping[str, TaskStatus | None]:
        wanted = json.dumps(builtin_list(ids))

        async def look() -> tuple[dict[str, TaskStatus | None] | None, float]:
            now = host_time()
            rows = await self.opened.read(_DONE, (wanted,))
            live = {task_id: expires_at for task_id, state, expires_at in rows if state < _FIRST_TERMINAL}
            done: dict[str, TaskStatus | None] = {
                task_id: STATES[state] for task_id, state, _ in rows if state >= _FIRST_TERMINAL
            }
            done |= {task_id: TaskStatus.FAILED for task_id, at in live.items() if at is not None and at <= now}
            done |= dict.fromkeys(set(ids) - done.keys() - live.keys())
            expiries = [at for at in live.values() if at is not None]
            return done or None, (min(expiries) - now) / 1000 if expiries else timeout

        return await self.opened.wait_until(DONE, look, timeout) or {}

    async def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int | None = None) -> builtins.list[Event]:
        at = (host_time() if now is None else now) - min_age_ms
        rows = await self.opened.read(
            f"SELECT pos, {EVENT_COLUMNS} FROM outbox AS entry WHERE at <= :at AND NOT EXISTS ("
            "SELECT 1 FROM outbox AS earlier WHERE earlier.seq = entry.seq AND earlier.pos < entry.pos "
            "AND earlier.at > :at) ORDER BY pos LIMIT :limit",
            {"at": at, "limit": limit},
        )
        return [event_from(row) for row in rows]

    async def outbox_ack(self, entries: Sequence[Event]) -> None:
        keys = [(entry.seq, entry.version) for entry in entries]
        await self.opened.write(
            lambda connection: connection.executemany("DELETE FROM outbox WHERE seq = ? AND version = ?", keys)
        )

    async def backup(self, destination: Path) -> None:
        """Write a consistent copy of the store, with all roles in it, while it is in use; see `Upkeep`."""
        await asyncio.to_thread(back_up, self.opened.path, destination)

    async def integrity(self) -> builtins.list[str]:
        """Return what is damaged in the store; see `Upkeep`."""
        return await asyncio.to_thread(find_damage, self.opened.path)

    def _write(
        self, operation: Callable[..., T], *arguments: Any, now: int | None = None, kinds: str = ""
    ) -> Awaitable[T]:
        ledger = self._ledger
        return self.opened.write(
            lambda connection: operation(connection, ledger, *arguments, now=host_time() if now is None else now), kinds
        )


builtin_list = list
_FIRST_TERMINAL = CODES[TaskStatus.COMPLETED]
_COUNTS = (
    "scheduled",
    "ready",
    "expired",
    "running",
    "stale",
    "completed",
    "failed",
    "cancelled",
    "oldest_ready_at",
)
_STATS = """
WITH view AS (
    SELECT queue, ready_at,
        CASE WHEN state > 0 THEN state WHEN expires_at <= :now THEN 10 WHEN ready_at > :now THEN 11 ELSE 12 END AS kind,
        state = 1 AND lease_until <= :now AS stale
    FROM task
)
SELECT name, name IN (SELECT queue FROM paused),
    count(*) FILTER (WHERE kind = 11), count(*) FILTER (WHERE kind = 12), count(*) FILTER (WHERE kind = 10),
    count(*) FILTER (WHERE kind = 1), count(*) FILTER (WHERE stale), count(*) FILTER (WHERE kind = 2),
    count(*) FILTER (WHERE kind = 3), count(*) FILTER (WHERE kind = 4), min(ready_at) FILTER (WHERE kind = 12)
FROM (SELECT DISTINCT queue AS name FROM task UNION SELECT queue FROM paused) LEFT JOIN view ON view.queue = name
GROUP BY name ORDER BY name
"""
_NEXT_AT = """
SELECT min(at) FROM (
    SELECT (SELECT min(at) FROM (
        SELECT (SELECT min(ready_at) FROM task WHERE state = 0 AND queue = given.value AND priority = p.value) AS at
        FROM json_each('[0,1,2,3,4,5,6,7,8,9]') AS p
    )) AS at FROM json_each(:queues) AS given WHERE given.value NOT IN (SELECT queue FROM paused)
    UNION ALL
    SELECT (SELECT min(lease_until) FROM task WHERE state = 1 AND queue = given.value) FROM json_each(:queues) AS given
)
"""
_DONE = "SELECT id, state, CASE state WHEN 0 THEN expires_at END FROM task WHERE id IN (SELECT value FROM json_each(?))"


def _fire(
    connection: sqlite3.Connection, ledger: Ledger, chunks: Sequence[Chunk], step: Advance, now: int
) -> list[Enqueued] | None:
    return enqueue(connection, ledger, chunks, now) if advance(connection, step) else None


def _purge(connection: sqlite3.Connection, codes: list[int], before: int, pinned_before: int, limit: int) -> list[str]:
    rows = connection.execute(
        "SELECT seq, id FROM task "
        "WHERE finished_at < CASE pinned WHEN 0 THEN :before ELSE :pinned_before END "
        "AND finished_at < max(:before, :pinned_before) "
        "AND state IN (SELECT value FROM json_each(:states)) "
        "AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.seq = task.seq) "
        "ORDER BY finished_at, seq LIMIT :limit",
        {"before": before, "pinned_before": pinned_before, "states": json.dumps(codes), "limit": limit},
    ).fetchall()
    seqs = json.dumps([seq for seq, _ in rows])
    for table in ("body", "task"):
        connection.execute(f"DELETE FROM {table} WHERE seq IN (SELECT value FROM json_each(?))", (seqs,))
    return [task_id for _, task_id in rows]
