"""The task queue role on NATS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from omniq.errors import StoreFormatError
from omniq.models.config import Role
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage import transitions
from omniq.storage.limits import check_results, check_specs
from omniq.storage.task_queue import TaskQueue
from omniq_nats import reading
from omniq_nats.claiming import claim, recover
from omniq_nats.codec import (
    CANCEL_REQUESTED,
    EPOCH,
    EXPIRES_AT,
    LEASE_UNTIL,
    NONCE,
    RUNNING,
    SEQ,
    STATE,
    STATES,
    UNIQUE_KEY,
    WORKER,
    Slot,
    event_from,
    grant_of,
    pack,
    record_of,
)
from omniq_nats.firing import complete, fire
from omniq_nats.jetstream import Progress, Write
from omniq_nats.role import NatsRole
from omniq_nats.steps import is_expired
from omniq_nats.store import Store
from omniq_nats.tasks import Change, Tasks
from omniq_nats.unique import Openings

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
    from omniq.models.result import ResultRecord
    from omniq.storage.schedules import Advance
    from omniq_nats.view import View

__all__ = ["NatsTaskQueue"]

_JOINABLE = frozenset({Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE})


class NatsTaskQueue(NatsRole, TaskQueue):
    """A task queue on a server or cluster, for any number of machines."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._joined: frozenset[Role] = frozenset()
        self._tasks = Tasks(store, self._joined)

    def sibling(self) -> Self:
        queue = type(self)(Store(self.shared.options, self.shared.project))
        queue.join(self._joined)
        return queue

    def join(self, roles: frozenset[Role]) -> frozenset[Role]:
        self._joined = roles & _JOINABLE
        self._tasks = Tasks(self.shared, self._joined)
        return self._joined

    # Producers

    async def enqueue(self, specs: Sequence[TaskSpec], *, now: int | None = None) -> list[Enqueued]:
        return await self.whole(self._enqueue(specs, now=now))

    async def _enqueue(self, specs: Sequence[TaskSpec], *, now: int | None) -> list[Enqueued]:
        check_specs(specs, self.capabilities)
        at = await self.opened.time(now)
        return await self._tasks.enqueue(specs, at, Progress()) if specs else []

    async def fire(
        self, specs: Sequence[TaskSpec], advance: Advance, *, now: int | None = None
    ) -> list[Enqueued] | None:
        if Role.SCHEDULE_STORAGE not in self._joined:
            return await super().fire(specs, advance, now=now)
        check_specs(specs, self.capabilities)
        at = await self.opened.time(now)
        return await self.whole(fire(self._tasks, specs, advance, at, Progress()))

    async def cancel(self, ids: Sequence[str], *, now: int | None = None) -> list[CancelReply]:
        return await self.whole(self._cancel(ids, now=now))

    async def _cancel(self, ids: Sequence[str], *, now: int | None) -> list[CancelReply]:
        at, progress = await self._prepared(now, ids)

        def decide(old: Slot) -> tuple[Slot | None, CancelReply]:
            if old.row is None or not old.is_visible:
                return None, "missing"
            if STATES[old.row[STATE]] in TERMINAL:
                return None, "finished"
            answer: CancelReply = "requested" if old.row[STATE] == RUNNING else "cancelled"
            return self._tasks.steps.change(old, lambda record: transitions.cancel(record, at), at), answer

        changes = [Change(task_id, decide) for task_id in ids]
        return await self._tasks.change(changes, progress, is_fresh=self.shared.is_attached)

    async def redrive(self, ids: Sequence[str], *, now: int | None = None) -> list[RedriveReply]:
        return await self.whole(self._redrive(ids, now=now))

    async def _redrive(self, ids: Sequence[str], *, now: int | None) -> list[RedriveReply]:
        at, progress = await self._prepared(now, ids)
        answers: list[Any] = []
        for task_id in ids:
            (answer,) = await self._tasks.change(
                [Change(task_id, lambda old: self._redriven(old, at))], progress, is_fresh=False
            )
            answers.append(answer if isinstance(answer, str) else await self._opened_again(answer, at, progress))
        return answers

    def _redriven(self, old: Slot, now: int) -> tuple[Slot | None, Any]:
        if old.row is None or not old.is_visible:
            return None, "missing"
        if STATES[old.row[STATE]] not in transitions.REDRIVABLE:
            return None, "invalid"
        if old.row[UNIQUE_KEY] is None:
            return self._tasks.steps.change(old, lambda record: transitions.redrive(record, now), now), "ok"
        made = old.copy()
        made.stage, made.following = old.row[EPOCH] + 1, (0, now)
        return made, made

    async def _opened_again(self, slot: Slot, now: int, progress: Progress) -> RedriveReply:
        return "ok" if await Openings(self._tasks, now, progress).open(slot) is None else "conflict"

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
        return await self.whole(self._claim(queues, limit, worker, lease_ms, claim_id, now=now))

    async def _claim(
        self,
        queues: Sequence[str],
        limit: int,
        worker: str,
        lease_ms: int,
        claim_id: str,
        *,
        now: int | None,
    ) -> list[Grant]:
        at, progress = await self._prepared(now)
        await recover(self._tasks, queues, self.capabilities.max_sweep, at, progress)
        return await claim(self._tasks, queues, limit, worker, lease_ms, claim_id, at, progress)

    async def held(self, worker: str, claim_id: str) -> list[Grant]:
        view = await self.opened.fresh()
        slots = [
            slot
            for slot in view.slots.values()
            if (row := slot.row) is not None
            and row[STATE] == RUNNING
            and row[WORKER] == worker
            and row[NONCE] == claim_id
        ]
        slots.sort(key=reading.claim_order)
        bodies = await self._tasks.bodies(slots)
        return [grant_of(slot.row or (), body) for slot, body in zip(slots, bodies, strict=True)]

    async def heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None = None
    ) -> list[HeartbeatReply]:
        return await self.whole(self._heartbeat(tokens, lease_ms, now=now))

    async def _heartbeat(
        self, tokens: Sequence[tuple[str, Token]], lease_ms: int, *, now: int | None
    ) -> list[HeartbeatReply]:
        at = await self.opened.time(now)

        def decider(token: Token) -> Callable[[Slot], tuple[Slot | None, HeartbeatReply]]:
            def decide(old: Slot) -> tuple[Slot | None, HeartbeatReply]:
                if old.row is None or not _is_current(old.row, token):
                    return None, "lost"
                made = old.copy()
                row = made.head
                row[LEASE_UNTIL] = max(row[LEASE_UNTIL] or 0, at + lease_ms)
                return made, "cancel" if row[CANCEL_REQUESTED] else "ok"

            return decide

        changes = [Change(task_id, decider(token)) for task_id, token in tokens]
        return await self._tasks.change(changes, Progress(), is_fresh=False)

    async def complete(self, items: Sequence[Completion], *, now: int | None = None) -> list[SettleReply]:
        return await self.whole(self._complete(items, now=now))

    async def _complete(self, items: Sequence[Completion], *, now: int | None) -> list[SettleReply]:
        check_results([item.result for item in items], self.capabilities)
        at = await self.opened.time(now)
        return await self._settle(
            [(item.id, item.token, lambda record: transitions.complete(record, at), item.result) for item in items],
            at,
            completes=True,
        )

    async def fail(self, items: Sequence[Failure], *, now: int | None = None) -> list[SettleReply]:
        return await self.whole(self._fail(items, now=now))

    async def _fail(self, items: Sequence[Failure], *, now: int | None) -> list[SettleReply]:
        check_results([item.result for item in items], self.capabilities)
        at = await self.opened.time(now)

        def failing(item: Failure) -> Callable[[TaskRecord], transitions.Step]:
            return lambda record: transitions.fail(record, at, error=item.error, retry_at=item.retry_at)

        return await self._settle([(item.id, item.token, failing(item), item.result) for item in items], at)

    async def release(self, items: Sequence[Release], *, now: int | None = None) -> list[SettleReply]:
        return await self.whole(self._release(items, now=now))

    async def _release(self, items: Sequence[Release], *, now: int | None) -> list[SettleReply]:
        at = await self.opened.time(now)

        def releasing(item: Release) -> Callable[[TaskRecord], transitions.Step]:
            return lambda record: transitions.release(record, at, ready_at=item.ready_at)

        return await self._settle([(item.id, item.token, releasing(item), None) for item in items], at)

    async def _settle(
        self,
        items: Sequence[tuple[str, Token, Callable[[TaskRecord], transitions.Step], ResultRecord | None]],
        now: int,
        *,
        completes: bool = False,
    ) -> list[SettleReply]:
        steps = self._tasks.steps

        def decider(
            token: Token, make: Callable[[TaskRecord], transitions.Step], result: ResultRecord | None
        ) -> Callable[[Slot], tuple[Slot | None, Any]]:
            def decide(old: Slot) -> tuple[Slot | None, Any]:
                row = old.row
                if row is None or not _is_current(row, token):
                    return None, _settled(row, token)
                new = steps.change(old, make, now, result)
                state = STATES[(new or old).head[STATE]].value
                return new, "ok" if completes else state

            return decide

        changes = [Change(task_id, decider(token, make, result)) for task_id, token, make, result in items]
        return await self._tasks.change(changes, Progress(), is_fresh=False)

    async def recover(self, queues: Sequence[str], *, now: int | None = None) -> list[tuple[str, TaskStatus]]:
        return await self.whole(self._recover(queues, now=now))

    async def _recover(self, queues: Sequence[str], *, now: int | None) -> list[tuple[str, TaskStatus]]:
        at, progress = await self._prepared(now)
        return await recover(self._tasks, queues, self.capabilities.max_sweep, at, progress)

    # Queues

    async def pause(self, queues: Sequence[str]) -> None:
        await self._set_paused(queues, paused=True)

    async def resume(self, queues: Sequence[str]) -> None:
        await self._set_paused(queues, paused=False)

    async def _set_paused(self, queues: Sequence[str], *, paused: bool) -> None:
        store, names = self.opened, list(dict.fromkeys(queues))
        writes = [Write(store.names.paused(name), None, pack((name, paused)), is_only=True) for name in names]
        revs = await store.jetstream.write(writes, Progress()) if writes else []
        for name, rev in zip(names, revs, strict=True):
            if store.is_attached:
                store.view.pause(name, paused=paused)
                store.wrote(rev)

    async def queues(self, *, now: int | None = None) -> list[QueueStats]:
        at, _ = await self._prepared(now)
        return reading.statistics(self.shared.view, at)

    # Reading

    async def get(self, ids: Sequence[str]) -> list[TaskRecord | None]:
        if not ids:
            return []
        store = self.opened
        if store.is_attached:
            view = await self._helped()
            found = [view.slots.get(task_id) for task_id in ids]
        else:
            found = list(await store.load(ids))
        return await self._records(found)

    async def list(
        self,
        filter: TaskFilter | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        desc: bool = False,
        now: int | None = None,
    ) -> builtins.list[TaskRecord]:
        at, _ = await self._prepared(now)
        found = reading.select(self.shared.view, filter, at, after=after, limit=limit, desc=desc)
        return [record for record in await self._records(found) if record is not None]

    async def count(self, filter: TaskFilter | None = None, *, now: int | None = None) -> int:
        at, _ = await self._prepared(now)
        return reading.count(self.shared.view, filter, at)

    async def purge(
        self,
        states: frozenset[TaskStatus],
        before: int,
        limit: int = 1000,
        *,
        pinned_before: int | None = None,
    ) -> builtins.list[str]:
        return await self.whole(self._purge(states, before, limit, pinned_before=pinned_before))

    async def _purge(
        self,
        states: frozenset[TaskStatus],
        before: int,
        limit: int,
        *,
        pinned_before: int | None,
    ) -> builtins.list[str]:
        await self._prepared(None)
        bound = before if pinned_before is None else pinned_before
        old = reading.ended(self.shared.view, states & TERMINAL, before, bound, limit)
        return [slot.id for slot in await self._tasks.remove(old, Progress())] if old else []

    async def _records(self, slots: Sequence[Slot | None]) -> builtins.list[TaskRecord | None]:
        seen = [slot for slot in slots if slot is not None and slot.row is not None and slot.is_visible]
        bodies = dict(zip(map(id, seen), await self._tasks.bodies(seen), strict=True))
        return [
            record_of(slot.row or (), bodies[id(slot)]) if slot is not None and id(slot) in bodies else None
            for slot in slots
        ]

    # Waiting

    async def next_at(self, queues: Sequence[str]) -> int | None:
        return (await self._helped()).next_at(queues)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        longest = self.capabilities.max_wait_ms / 1000
        names = list(queues)
        view = await self.opened.fresh()
        while self.is_open:
            with view.waiting() as changed:
                at = view.next_at(names)
                left = longest if at is None else (at - self.shared.now()) / 1000
                patience = min(deadline - loop.time(), left, longest)
                if patience <= 0:
                    return
                try:
                    async with asyncio.timeout(patience):
                        await changed.wait()
                except TimeoutError:
                    if loop.time() < deadline and patience >= longest:
                        await self._helped()  # whatever became of the feed

    async def wait_done(self, ids: Sequence[str], timeout: float) -> Mapping[str, TaskStatus | None]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        wanted = list(dict.fromkeys(ids))
        longest = self.capabilities.max_wait_ms / 1000
        view = await self._helped()
        while self.is_open:
            with view.waiting(wanted) as changed:
                at = self.shared.now()
                done, left = _ended(view, wanted, at)
                patience = min(deadline - loop.time(), left, longest)
                if done or patience <= 0:
                    return done
                try:
                    async with asyncio.timeout(patience):
                        await changed.wait()
                except TimeoutError:
                    if loop.time() < deadline:
                        await self._helped()
        return {}

    # Outbox

    async def outbox(self, limit: int = 1000, *, min_age_ms: int = 0, now: int | None = None) -> builtins.list[Event]:
        at, _ = await self._prepared(now)
        return reading.outbox(self.shared.view, limit, at - min_age_ms)

    async def outbox_ack(self, entries: Sequence[Event]) -> None:
        await self.whole(self._outbox_ack(entries))

    async def _outbox_ack(self, entries: Sequence[Event]) -> None:
        if not entries:
            return
        done: dict[str, set[tuple[int, int]]] = {}
        for entry in entries:
            done.setdefault(entry.task_id, set()).add((entry.seq, entry.version))

        def decide(old: Slot) -> tuple[Slot | None, None]:
            known = done[old.id]
            made = old.copy()
            left = [each for each in made.outbox if _identity(each) not in known]
            if len(left) == len(made.outbox):
                return None, None
            made.outbox = left
            return made, None

        changes = [Change(task_id, decide) for task_id in done]
        await self._tasks.change(changes, Progress(), is_fresh=False)

    # Inside

    async def _prepared(self, now: int | None, ids: Sequence[str] | None = None) -> tuple[int, Progress]:
        """Return the time of a call, with the view made fresh and what others began completed.

        A call about some ids does without a view that is not there.
        """
        store, progress = self.opened, Progress()
        if ids is None or store.is_attached:
            view = await store.fresh()
            if view.unfinished:
                await self._tasks.help(await store.time(now), progress)
            while view.firing:
                subject, message = view.firing.popitem()
                try:
                    await complete(store, subject, message, progress)
                except StoreFormatError:
                    view.damaged.add(message.rev)
        return await store.time(now), Progress()

    async def _helped(self) -> View:
        await self._prepared(None)
        return self.shared.view


def _is_current(row: Sequence[Any], token: Token) -> bool:
    return bool(
        row[STATE] == RUNNING and row[EPOCH] == token.epoch and row[NONCE] == token.nonce and row[SEQ] == token.seq
    )


def _settled(row: Sequence[Any] | None, token: Token) -> SettleReply:
    """Answer a settling whose token is not current: was it this token that ended the run before?"""
    if row is not None and row[STATE] != RUNNING and (row[SEQ], row[EPOCH], row[NONCE]) == tuple(token):
        return "already"
    return "lost"


def _ended(view: View, ids: Sequence[str], now: int) -> tuple[dict[str, TaskStatus | None], float]:
    """Return what has ended of some tasks, and in how many seconds the first of the others expires."""
    done: dict[str, TaskStatus | None] = {}
    left = float("inf")
    for task_id in ids:
        slot = view.slots.get(task_id)
        if slot is None or slot.row is None or not slot.is_visible:
            done[task_id] = None
        elif STATES[slot.row[STATE]] in TERMINAL:
            done[task_id] = STATES[slot.row[STATE]]
        elif is_expired(slot, now):
            done[task_id] = TaskStatus.FAILED
        elif slot.row[STATE] == 0 and slot.row[EXPIRES_AT] is not None:
            left = min(left, (slot.row[EXPIRES_AT] - now) / 1000)
    return done, left


def _identity(entry: Sequence[Any]) -> tuple[int, int]:
    event = event_from(entry[1], entry[0])
    return event.seq, event.version
