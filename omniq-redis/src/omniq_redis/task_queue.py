"""The task queue role on Redis."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

from omniq.errors import StorageError, StoreFormatError
from omniq.models.config import Role
from omniq.models.record import Enqueued, Failure
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage.limits import check_results, check_specs
from omniq.storage.task_queue import TaskQueue
from omniq_redis.batches import in_chunks
from omniq_redis.bell import WORK
from omniq_redis.counting import count_in, stats_from
from omniq_redis.records import (
    STATES,
    event_from,
    grant_from,
    record_from,
    result_values,
    spec_groups,
    spec_values,
    task_filter,
)
from omniq_redis.role import RedisRole
from omniq_redis.schedules import advance_values
from omniq_redis.server import Server

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import (
        CancelReply,
        Completion,
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
    from omniq.models.result import ResultRecord
    from omniq.storage.schedules import Advance

__all__ = ["RedisTaskQueue"]

_LETTERS = {Role.EVENT_STORAGE: b"e", Role.RESULT_STORAGE: b"r", Role.SCHEDULE_STORAGE: b""}
_AT_ONCE = 1000
_NO_RESULT = (False, False, False)


class RedisTaskQueue(RedisRole, TaskQueue):
    """A task queue on one server, for any number of machines."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._joined: frozenset[Role] = frozenset()
        self._mode = b""
        self._waited = False  # whether the server may ring for a wait of this handle

    def sibling(self) -> Self:
        queue = type(self)(Server(self.shared.options, self.shared.project))
        queue.join(self._joined)
        return queue

    def join(self, roles: frozenset[Role]) -> frozenset[Role]:
        self._joined = roles & _LETTERS.keys()
        self._mode = b"".join(sorted(_LETTERS[role] for role in self._joined))
        return self._joined

    async def time(self) -> int:
        at: int = await self._run("time", None)
        return at

    # Producers

    async def enqueue(self, specs: Sequence[TaskSpec], *, now: int | None = None) -> list[Enqueued]:
        check_specs(specs, self.capabilities)
        groups, sizes = zip(*spec_groups(specs), strict=True) if specs else ((), ())
        answers = await in_chunks(self.opened, "enqueue", groups, sizes=sizes, mode=self._mode, now=now)
        return _enqueued(specs, answers)

    async def fire(
        self, specs: Sequence[TaskSpec], advance: Advance, *, now: int | None = None
    ) -> list[Enqueued] | None:
        if Role.SCHEDULE_STORAGE not in self._joined:
            return await super().fire(specs, advance, now=now)
        check_specs(specs, self.capabilities)
        answers = await self._run("fire", [[spec_values(spec) for spec in specs], advance_values(advance)], now=now)
        return None if answers is None else _enqueued(specs, answers)

    async def cancel(self, ids: Sequence[str], *, now: int | None = None) -> list[CancelReply]:
        return await self._words("cancel", ids, now=now)

    async def redrive(self, ids: Sequence[str], *, now: int | None = None) -> list[RedriveReply]:
        return await self._words("redrive", ids, now=now)

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
        grants: list[Grant] = []
        damaged: list[Failure] = []
        names, sweep = list(queues), self.capabilities.max_sweep
        bell = self.opened.bell.name if self._waited else False
        self._waited = False
        while True:
            most = min(max(limit, 0), _AT_ONCE)
            try:
                rows = await self._run("claim", [names, most, worker, lease_ms, claim_id, sweep, bell], now=now)
            except StorageError:
                if not grants:
                    raise
                break  # what was granted is not to be lost
            for row in rows:
                try:
                    grants.append(grant_from(row, claim_id))
                except StoreFormatError as error:
                    damaged.append(Failure(row[0].decode(), _token(row, claim_id), str(error)))
            limit -= len(rows)
            if limit <= 0 or len(rows) < most:
                break
        if damaged:
            await self.fail(damaged, now=now)
        return grants

    async def held(self, worker: str, claim_id: str) -> list[Grant]:
        grants = []
        for row in await self._run("held", [worker, claim_id]):
            with contextlib.suppress(StoreFormatError):
                grants.append(grant_from(row, claim_id))
        return grants

    async def heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None = None
    ) -> list[HeartbeatReply]:
        return await self._words("heartbeat", [(task_id, *token) for task_id, token in tokens], lease_ms, now=now)

    async def complete(self, items: Sequence[Completion], *, now: int | None = None) -> list[SettleReply]:
        check_results([result for _, _, result in items], self.capabilities)
        values = [(task_id, *token, *self._result(result)) for task_id, token, result in items]
        sizes = [_size(result) for _, _, result in items]
        return await self._words("complete", values, sizes=sizes, now=now)

    async def fail(self, items: Sequence[Failure], *, now: int | None = None) -> list[SettleReply]:
        check_results([item.result for item in items], self.capabilities)
        values = [
            (item.id, *item.token, *self._result(item.result), item.error, _or_false(item.retry_at)) for item in items
        ]
        return await self._words("fail", values, sizes=[_size(item.result) for item in items], now=now)

    async def release(self, items: Sequence[Release], *, now: int | None = None) -> list[SettleReply]:
        return await self._words("release", [(item.id, *item.token, item.ready_at) for item in items], now=now)

    async def recover(self, queues: Sequence[str], *, now: int | None = None) -> list[tuple[str, TaskStatus]]:
        swept = await self._run("recover", [list(queues), self.capabilities.max_sweep], now=now)
        return [(task_id.decode(), STATES[state]) for task_id, state in swept]

    # Queues

    async def pause(self, queues: Sequence[str]) -> None:
        await self._run("pause", [list(queues), 1])

    async def resume(self, queues: Sequence[str]) -> None:
        await self._run("pause", [list(queues), 0])

    async def queues(self, *, now: int | None = None) -> list[QueueStats]:
        return stats_from(await self._run("queues", None, now=now))

    # Reading

    async def get(self, ids: Sequence[str]) -> list[TaskRecord | None]:
        found = await in_chunks(self.opened, "get", ids)
        return [record_from(values) if values else None for values in found]

    async def list(
        self,
        filter: TaskFilter | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        desc: bool = False,
        now: int | None = None,
    ) -> builtins.list[TaskRecord]:
        wanted = task_filter(filter)
        found: list[TaskRecord] = []
        cursor: int | bool = _or_false(after)
        while len(found) < limit:
            cursor, rows = await self._run("list", [wanted, cursor, limit - len(found), desc], now=now)
            found += map(record_from, rows)
            if cursor is False:
                break
        return found

    async def count(self, filter: TaskFilter | None = None, *, now: int | None = None) -> int:
        known = count_in(filter, await self.queues(now=now))
        if known is not None:
            return known
        wanted = task_filter(filter)
        total = 0
        cursor: int | bool = False
        while True:
            cursor, number = await self._run("count", [wanted, cursor], now=now)
            total += int(number)
            if cursor is False:
                return total

    async def purge(
        self,
        states: frozenset[TaskStatus],
        before: int,
        limit: int = 1000,
        *,
        pinned_before: int | None = None,
    ) -> builtins.list[str]:
        codes = sorted(STATES.index(state) for state in states & TERMINAL)
        purged: list[str] = []
        while len(purged) < limit:
            wanted = min(_AT_ONCE, limit - len(purged))
            ids = await self._run("purge", [codes, before, wanted, before if pinned_before is None else pinned_before])
            purged += [task_id.decode() for task_id in ids]
            if len(ids) < wanted:
                break
        return purged

    # Waiting

    async def next_at(self, queues: Sequence[str]) -> int | None:
        at = await self._run("next_at", list(queues))
        return None if at is False else int(at)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        bell, names = self.opened.bell, list(queues)
        longest = self.capabilities.max_wait_ms / 1000
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        await bell.listen()
        while self.is_open:
            with bell.waiting(WORK) as rung:
                self._waited = True
                left = await self._run("wait", [names, bell.name])
                patience = min(deadline - loop.time(), longest if left is False else left / 1000, longest)
                is_over = patience <= 0 or await _rang(rung, patience) or loop.time() >= deadline
                if is_over or (left is not False and left / 1000 <= patience):
                    return

    async def wait_done(self, ids: Sequence[str], timeout: float) -> Mapping[str, TaskStatus | None]:
        bell, wanted = self.opened.bell, list(dict.fromkeys(ids))
        longest = self.capabilities.max_wait_ms / 1000
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        await bell.listen()
        fresh = [task_id for task_id in wanted if task_id not in bell.awaited]
        while self.is_open:
            with bell.waiting(*wanted) as rung:
                done, left = await self._watch(fresh) if fresh else ({}, longest)
                patience = min(deadline - loop.time(), left, longest)
                if done or patience <= 0:
                    return done
                rang = await _rang(rung, patience) if bell.awaited.issuperset(wanted) else True
                if rung.ended:
                    return {task_id: STATES[state] for task_id, state in rung.ended.items()}
                # What rang before this wait began is not awaited any more; without a message, look at everything.
                fresh = [task_id for task_id in wanted if task_id not in bell.awaited] if rang else wanted
        return {}

    async def _watch(self, ids: Sequence[str]) -> tuple[dict[str, TaskStatus | None], float]:
        """Return what has ended of some tasks, and in how many seconds the first of the others expires."""
        bell = self.opened.bell
        bell.awaited.update(ids)
        try:
            rows, left = await self._run("watch", [ids, bell.name])
        except BaseException:
            bell.awaited.difference_update(ids)
            raise
        done = {task_id.decode(): None if state is False else STATES[state] for task_id, state in rows}
        bell.awaited.difference_update(done)
        return done, self.capabilities.max_wait_ms / 1000 if left is False else left / 1000

    # Outbox

    async def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int | None = None) -> builtins.list[Event]:
        found: builtins.list[Event] = []
        last: bytes | int | bool = 0
        held: Sequence[bytes] = ()
        while last is not False and len(found) < limit:
            last, held, page = await self._run("outbox", [limit - len(found), min_age_ms, last, held], now=now)
            found += map(event_from, page)
        return found

    async def outbox_ack(self, entries: Sequence[Event]) -> None:
        await self._run("acknowledge", [(entry.seq, entry.version) for entry in entries])

    # Scripts

    async def _run(self, name: str, payload: object, *, now: int | None = None) -> Any:
        return await self.opened.run(name, payload, mode=self._mode, now=now)

    async def _words(
        self,
        name: str,
        items: Sequence[Any],
        *options: Any,
        sizes: Sequence[int] | None = None,
        now: int | None = None,
    ) -> builtins.list[Any]:
        """Run a script that answers every item with a word or with the number of a state."""
        replies = await in_chunks(self.opened, name, items, *options, sizes=sizes, mode=self._mode, now=now)
        return [_WORDS[reply] for reply in replies]

    def _result(self, result: ResultRecord | None) -> tuple[Any, Any, Any]:
        if result is None or Role.RESULT_STORAGE not in self._joined:
            return _NO_RESULT
        return result_values(result)


_WORDS: dict[bytes | int, str] = {
    **{word.encode(): word for word in ("ok", "already", "lost", "cancel", "cancelled", "requested", "finished")},
    **{word.encode(): word for word in ("missing", "invalid", "conflict")},
    **{code: state.value for code, state in enumerate(STATES)},
}


async def _rang(event: asyncio.Event, patience: float) -> bool:
    """Wait for an event, and tell whether it was set."""
    try:
        async with asyncio.timeout(patience):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


def _enqueued(specs: Sequence[TaskSpec], answers: Sequence[Any]) -> list[Enqueued]:
    return [
        Enqueued(spec.id, True) if answer is True else Enqueued(answer.decode(), False)  # noqa: FBT003 - half the cost
        for spec, answer in zip(specs, answers, strict=True)
    ]


def _token(row: Sequence[Any], nonce: str) -> Token:
    from omniq.models.record import Token

    return Token(row[1], row[2], nonce)


def _size(result: ResultRecord | None) -> int:
    return 300 if result is None or result.value is None else 300 + len(result.value)


def _or_false(value: Any) -> Any:
    return False if value is None else value
