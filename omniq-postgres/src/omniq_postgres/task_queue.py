"""The task queue role on PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

from omniq.errors import StoreFormatError
from omniq.models.config import Role
from omniq.models.record import Enqueued, Failure, QueueStats, Token
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.limits import check_results, check_specs
from omniq.storage.task_queue import TaskQueue
from omniq_postgres import statements
from omniq_postgres.bell import DONE, EVENTS, WORK
from omniq_postgres.database import Database
from omniq_postgres.filters import PageQuery, is_ordered, task_query
from omniq_postgres.floors import Floors
from omniq_postgres.looks import Looks
from omniq_postgres.role import PostgresRole
from omniq_postgres.rows import (
    CODES,
    STATES,
    TASK_QUERY,
    columns,
    event_from,
    grant_from,
    record_from,
    spec_columns,
)
from omniq_postgres.schedules import advance_values
from omniq_postgres.schema import in_schema
from omniq_postgres.texts import given, kept
from omniq_postgres.transactional import Inbox

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import (
        CancelReply,
        Completion,
        Grant,
        HeartbeatReply,
        RedriveReply,
        Release,
        SettleReply,
        TaskFilter,
        TaskRecord,
        TaskSpec,
    )
    from omniq.models.result import ResultRecord
    from omniq.storage.schedules import Advance

__all__ = ["PostgresTaskQueue"]

_MODES = {Role.EVENT_STORAGE: 1, Role.RESULT_STORAGE: 2, Role.SCHEDULE_STORAGE: 0}
_SETTLE_WIDTH = 10
_FAIL, _RELEASE = 3, 0
_COMPLETE = CODES[TaskStatus.COMPLETED]
_SETTLED: tuple[SettleReply, ...] = ("PENDING", "lost", "ok", "FAILED", "CANCELLED")
_REFUSED: dict[int, SettleReply] = {10: "already", 11: "lost"}
_CANCELLED: tuple[CancelReply, ...] = ("missing", "cancelled", "requested", "finished")
_REDRIVEN: tuple[RedriveReply, ...] = ("missing", "ok", "invalid", "conflict")


class PostgresTaskQueue(PostgresRole, TaskQueue):
    """A task queue in one database, for any number of machines."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._joined: frozenset[Role] = frozenset()
        self._mode = 0
        self._floors = Floors()
        self._ends = Looks(self._look_for_ends)
        self._work = Looks(self._look_for_work)

    async def open(self) -> None:
        await super().open()
        self._ends.open()
        self._work.open()

    async def close(self) -> None:
        await self._ends.close()
        await self._work.close()
        await super().close()

    def sibling(self) -> Self:
        queue = type(self)(Database(self.shared.options, self.shared.project))
        queue.join(self._joined)
        return queue

    def join(self, roles: frozenset[Role]) -> frozenset[Role]:
        self._joined = roles & _MODES.keys()
        self._mode = sum(_MODES[role] for role in self._joined)
        return self._joined

    async def time(self) -> int:
        return await self.opened.time()

    # Producers

    async def enqueue(self, specs: Sequence[TaskSpec], *, now: int | None = None) -> list[Enqueued]:
        check_specs(specs, self.capabilities)
        values = spec_columns(specs)
        ((replies,),) = await self._write(statements.ENQUEUE, now, self._mode, *values, kinds=WORK + EVENTS)
        return _enqueued(specs, replies)

    async def enqueue_within(self, connection: object, specs: Sequence[TaskSpec]) -> list[Enqueued]:
        database = self.opened
        return await Inbox(database.schema, notify=database.bell.is_push).enqueue(connection, specs)

    async def fire(
        self, specs: Sequence[TaskSpec], advance: Advance, *, now: int | None = None
    ) -> list[Enqueued] | None:
        if Role.SCHEDULE_STORAGE not in self._joined:
            return await super().fire(specs, advance, now=now)
        check_specs(specs, self.capabilities)
        values = spec_columns(specs)
        ((advanced, replies),) = await self._write(
            statements.FIRE, *advance_values(advance), now, self._mode, *values, kinds=WORK + EVENTS
        )
        return _enqueued(specs, replies) if advanced else None

    async def cancel(self, ids: Sequence[str], *, now: int | None = None) -> list[CancelReply]:
        ((replies,),) = await self._write(
            statements.CANCEL, list(map(kept, ids)), now, self._mode, kinds=WORK + DONE + EVENTS
        )
        return [_CANCELLED[reply] for reply in replies]

    async def redrive(self, ids: Sequence[str], *, now: int | None = None) -> list[RedriveReply]:
        ((replies,),) = await self._write(
            statements.REDRIVE, list(map(kept, ids)), now, self._mode, kinds=WORK + EVENTS
        )
        return [_REDRIVEN[reply] for reply in replies]

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
    ) -> list[Grant]:
        names, sweep = _names(queues), self.capabilities.max_sweep
        floors = self._floors.of(names) if now is None else (None, None)
        rows = await self._write(
            statements.CLAIM, names, limit, kept(worker), lease_ms, kept(claim_id), sweep, now, self._mode, *floors
        )
        if now is None:
            self._floors.learn(names, limit, rows, lease_ms, full=floors[0] is None)
        if rows:
            self.shared.bell.ring(EVENTS)
        grants: list[Grant] = []
        damaged: list[Failure] = []
        for row in rows:
            try:
                grants.append(grant_from(row, claim_id))
            except StoreFormatError as error:
                damaged.append(Failure(given(row[0]), Token(row[1], row[2], claim_id), str(error)))
        if damaged:
            await self.fail(damaged, now=now)
        return grants

    async def held(self, worker: str, claim_id: str) -> list[Grant]:
        grants = []
        for row in await self.opened.read(statements.HELD, kept(worker), kept(claim_id)):
            with contextlib.suppress(StoreFormatError):
                grants.append(grant_from(row, claim_id))
        return grants

    async def heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None = None
    ) -> list[HeartbeatReply]:
        values = columns(
            sorted((token.seq, kept(task_id), token.epoch, kept(token.nonce)) for task_id, token in tokens), 4
        )
        rows = await self._write(statements.HEARTBEAT, *values, lease_ms, now)
        held = {
            (given(task_id), Token(seq, epoch, given(nonce))): cancel for seq, task_id, epoch, nonce, cancel in rows
        }
        return [_beaten(held.get(each)) for each in tokens]

    async def complete(self, items: Sequence[Completion], *, now: int | None = None) -> list[SettleReply]:
        check_results([result for _, _, result in items], self.capabilities)
        values = [self._settling(task_id, token, result) for task_id, token, result in items]
        return await self._settle(_COMPLETE, values, now, DONE + EVENTS)

    async def fail(self, items: Sequence[Failure], *, now: int | None = None) -> list[SettleReply]:
        check_results([item.result for item in items], self.capabilities)
        values = [
            self._settling(task_id, token, result, kept(error), retry_at)
            for task_id, token, error, retry_at, result in items
        ]
        return await self._settle(_FAIL, values, now, WORK + DONE + EVENTS)

    async def release(self, items: Sequence[Release], *, now: int | None = None) -> list[SettleReply]:
        values = [self._settling(task_id, token, None, None, ready_at) for task_id, token, ready_at in items]
        return await self._settle(_RELEASE, values, now, WORK + DONE + EVENTS)

    async def recover(self, queues: Sequence[str], *, now: int | None = None) -> list[tuple[str, TaskStatus]]:
        sweep = self.capabilities.max_sweep
        rows = await self._write(statements.RECOVER, _names(queues), sweep, now, self._mode, kinds=WORK + DONE + EVENTS)
        return [(given(task_id), STATES[state]) for task_id, state in rows]

    # Queues

    async def pause(self, queues: Sequence[str]) -> None:
        await self._write(statements.PAUSE, sorted(_names(queues)))

    async def resume(self, queues: Sequence[str]) -> None:
        await self._write(statements.RESUME, _names(queues), kinds=WORK)

    async def queues(self, *, now: int | None = None) -> list[QueueStats]:
        rows = await self._read(statements.QUEUES, now)
        return [QueueStats(name=given(name), **dict(zip(statements.COUNTS, row, strict=True))) for name, *row in rows]

    # Reading

    async def get(self, ids: Sequence[str]) -> list[TaskRecord | None]:
        wanted = list(map(kept, dict.fromkeys(ids)))
        rows = await self._read(statements.GET, wanted)
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
        page = PageQuery()
        query = task_query(filter, now, page if is_ordered(filter) else None)
        direction = "DESC" if desc else "ASC"
        if after is not None:
            query.add(f"h.seq {'<' if desc else '>'} {{}}", after)
        if query is page:
            first, second = [*page.lists, [], []][:2]
            condition = in_schema(page.condition, self.shared.schema)
            rows = await self._read(
                f"{statements.PAGE} {direction}", condition, direction, limit, page.numbers, first, second
            )
        else:
            rows = await self._read(
                f"{TASK_QUERY} WHERE {query.condition} ORDER BY h.seq {direction} LIMIT {query.mark(limit)}",
                *query.parameters,
            )
        return [record_from(row) for row in rows]

    async def count(self, filter: TaskFilter | None = None, *, now: int | None = None) -> int:
        query = task_query(filter, now)
        ((count,),) = await self._read(
            f"SELECT count(*) FROM omniq.head AS h JOIN omniq.task AS t ON t.seq = h.seq WHERE {query.condition}",
            *query.parameters,
        )
        return int(count)

    async def purge(
        self,
        states: frozenset[TaskStatus],
        before: int,
        limit: int = 1000,
        *,
        pinned_before: int | None = None,
    ) -> builtins.list[str]:
        codes = sorted(CODES[state] for state in states & TERMINAL)
        pinned_before = before if pinned_before is None else pinned_before
        rows = await self._write(statements.PURGE, codes, before, pinned_before, limit)
        return [given(row[0]) for row in rows]

    # Waiting

    async def next_at(self, queues: Sequence[str]) -> int | None:
        ((at,),) = await self.opened.read(statements.NEXT_AT, _names(queues))
        return None if at is None else int(at)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        bell, names = self.opened.bell, _names(queues)
        deadline = asyncio.get_running_loop().time() + timeout
        await bell.listen()
        while self.is_open:
            with bell.waiting(WORK) as rung:
                found = await self._work.look(names)
                until = min((found[name] for name in names), default=float("inf"))
                left = deadline - asyncio.get_running_loop().time()
                patience = min(left, until, self._longest)
                if patience <= 0 or await _rang(rung, patience) or patience in {left, until}:
                    return

    async def wait_done(self, ids: Sequence[str], timeout: float) -> Mapping[str, TaskStatus | None]:
        bell, wanted = self.opened.bell, list(dict.fromkeys(ids))
        deadline = asyncio.get_running_loop().time() + timeout
        await bell.listen()
        while self.is_open:
            with bell.waiting(DONE) as rung:
                found = await self._ends.look(wanted)
                ends = {task_id: found[task_id] for task_id in wanted}
                done = {task_id: end for task_id, end in ends.items() if not isinstance(end, float)}
                left = min(
                    deadline - asyncio.get_running_loop().time(),
                    *(end for end in ends.values() if isinstance(end, float)),
                    self._longest,
                )
                if done or left <= 0:
                    return done
                await _rang(rung, left)
        return {}

    async def _look_for_work(self, names: builtins.list[str]) -> dict[str, float]:
        """Return for each queue in how many seconds work may come up."""
        rows = await self.opened.read(statements.NEXT_IN, names, *self._floors.of_look(names))
        return {name: float("inf") if left_ms is None else left_ms / 1000 for name, left_ms in rows}

    async def _look_for_ends(self, ids: builtins.list[str]) -> dict[str, TaskStatus | float | None]:
        """Return for each task its end, None if it is unknown, or in how many seconds it expires."""
        wanted = list(map(kept, ids))
        rows = await self._read(statements.DONE, wanted)
        found: dict[str, TaskStatus | float | None] = dict.fromkeys(ids)
        for stored, state, left_ms in rows:
            if state >= _COMPLETE:
                found[given(stored)] = STATES[state]
            elif left_ms is not None and left_ms <= 0:
                found[given(stored)] = TaskStatus.FAILED
            else:
                found[given(stored)] = float("inf") if left_ms is None else left_ms / 1000
        return found

    # Outbox

    async def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int | None = None) -> builtins.list[Event]:
        rows = await self.opened.read(statements.OUTBOX, now, min_age_ms, limit)
        return [event_from(row) for row in rows]

    async def outbox_ack(self, entries: Sequence[Event]) -> None:
        values = columns(((entry.seq, entry.version) for entry in entries), 2)
        await self._write(statements.OUTBOX_ACK, *values)

    # Statements

    async def _read(self, query: str, *arguments: Any) -> builtins.list[tuple[Any, ...]]:
        """Return the rows of a query on tasks, of which the first column is not NULL.

        What callers enqueued in transactions of their own is made to tasks before.
        """
        statement = f"{statements.STAGED} LEFT JOIN ({query}) AS found ON true"
        rows = await self.opened.read(statement, *arguments)
        if rows[0][0]:
            await self.opened.read(statements.ADOPT, self._mode)
            rows = await self.opened.read(statement, *arguments)
        return [row[1:] for row in rows if row[1] is not None]

    async def _write(self, statement: str, *arguments: Any, kinds: str = "") -> builtins.list[Any]:
        return await self.opened.write(statement, *arguments, kinds=kinds)

    @property
    def _longest(self) -> float:
        return self.capabilities.max_wait_ms / 1000

    def _settling(
        self,
        task_id: str,
        token: Token,
        result: ResultRecord | None,
        error: str | None = None,
        at: int | None = None,
    ) -> tuple[Any, ...]:
        seq, epoch, nonce = token
        if result is None or not self._mode & 2:
            return seq, kept(task_id), epoch, kept(nonce), error, at, None, None, None, None
        return (
            seq,
            kept(task_id),
            epoch,
            kept(nonce),
            error,
            at,
            result.value,
            kept(result.codec),
            kept(result.error),
            result.ttl_ms,
        )

    async def _settle(
        self, operation: int, values: Sequence[tuple[Any, ...]], now: int | None, kinds: str
    ) -> builtins.list[SettleReply]:
        ((replies,),) = await self._write(
            statements.SETTLE, operation, *columns(values, _SETTLE_WIDTH), now, self._mode, kinds=kinds
        )
        if replies is None:
            return ["ok"] * len(values)
        return [_REFUSED.get(reply) or _SETTLED[reply] for reply in replies]


def _names(queues: Sequence[str]) -> list[str]:
    return [kept(name) for name in dict.fromkeys(queues)]


def _enqueued(specs: Sequence[TaskSpec], replies: Sequence[str | None] | None) -> list[Enqueued]:
    if replies is None:
        return [Enqueued(spec.id, True) for spec in specs]  # noqa: FBT003 - positional is half the cost
    return [
        Enqueued(spec.id, created=True) if reply is None else Enqueued(given(reply), created=False)
        for spec, reply in zip(specs, replies, strict=True)
    ]


def _beaten(cancel: bool | None) -> HeartbeatReply:  # noqa: FBT001 - as the row has it
    if cancel is None:
        return "lost"
    return "cancel" if cancel else "ok"


async def _rang(event: asyncio.Event, patience: float) -> bool:
    """Wait for an event, and tell whether it was set."""
    try:
        async with asyncio.timeout(patience):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
