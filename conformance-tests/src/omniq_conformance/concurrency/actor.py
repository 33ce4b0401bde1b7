"""An actor: makes random calls on a store that others use at the same time, and writes down what it is told."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

from omniq.models.record import Completion, Failure, Release, TaskBody, TaskFilter, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import LIVE, TaskStatus
from omniq_conformance.concurrency.history import Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from omniq.models.record import Grant
    from omniq.storage.task_queue import TaskQueue
    from omniq_conformance.concurrency.history import Plan

__all__ = ["LONG", "QUEUES", "SERIES", "Actor"]

QUEUES = ["a", "b"]
SERIES = "series"
SHORT, LONG = 20, 20_000
"""Leases in milliseconds: one that may run out, and one that never does."""


class Actor:
    """Makes the calls of one actor.

    Args:
        queue: Its handle; other actors may share it.
        name: Of the actor, and of its worker.
        plan: How much to do.
    """

    def __init__(self, queue: TaskQueue, name: str, plan: Plan) -> None:
        self.operations: list[Operation] = []
        self._queue = queue
        self._name = name
        self._plan = plan
        self._rng = Random(f"{plan.seed} {name}")  # noqa: S311 - reproducible choices, not secrets
        self._held: list[Grant] = []
        self._past: list[Grant] = []
        self._ids: list[str] = [SERIES]
        self._enqueued = 0
        self._claims = 0

    async def run(self) -> None:
        """Act until all tasks of the plan are enqueued, then settle what is held."""
        kinds = [self._enqueue] * 4 + [self._claim] * 6 + [self._settle] * 9 + [self._settle_late] * 2
        kinds += [self._cancel] * 2 + [self._redrive, self._recover, self._rest]
        while self._enqueued < self._plan.tasks:
            await self._rng.choice(kinds)()
        while self._held:
            await self._complete([self._held.pop()])

    async def drain(self) -> bool:
        """Claim and complete everything that can be had; tell whether that was anything."""
        await self._claim(limit=100, queues=QUEUES, lease_ms=LONG)
        grants, self._held = self._held, []
        await self._complete(grants)
        return bool(grants)

    async def stop_series(self) -> None:
        """Cancel the series through every run that there may be."""
        runs = await self._queue.list(TaskFilter(states=LIVE, series_id=SERIES), limit=100_000)
        ids = [run.id for run in runs]
        await self._note("cancel", [[id] for id in ids], self._queue.cancel(ids))

    async def begin_series(self) -> None:
        """Enqueue the first run of a series."""
        spec = TaskSpec(id=SERIES, body=TaskBody(func="pkg.f"), queue="a", interval_ms=15)
        await self._note("enqueue", [[SERIES, None, "a", 0, False]], self._queue.enqueue([spec]))

    # Calls

    async def _note(self, name: str, items: list[Any], call: Awaitable[Any], lease_ms: int = 0) -> Any:
        wall, began = time.time_ns() // 1_000_000, time.monotonic_ns()
        answer = await call
        ended = time.monotonic_ns()
        replies = list(answer)
        if name == "claim":
            replies = [_plain(grant) for grant in answer]
        elif name == "enqueue":
            replies = [[reply.id, reply.created] for reply in answer]
        operation = Operation(
            actor=self._name,
            name=name,
            began=began,
            ended=ended,
            wall=wall,
            items=items,
            replies=replies,
            lease_ms=lease_ms,
        )
        self.operations.append(operation)
        return answer

    async def _enqueue(self) -> None:
        rng = self._rng
        now = await self._queue.time()
        specs = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            self._enqueued += 1
            shared = rng.random() < 0.15  # noqa: PLR2004 - how often
            id = f"shared.{rng.randrange(self._plan.tasks)}" if shared else f"{self._name}.{self._enqueued}"
            spec = TaskSpec(
                id=id, body=TaskBody(func="pkg.f"), queue=rng.choice(QUEUES), priority=rng.choice([0, 0, 1])
            )
            spec.max_attempts = rng.choice([1, 2, 4])
            match rng.choice(["plain"] * 6 + ["unique", "unique", "eta", "expires"]):
                case "unique":
                    spec.unique_key = rng.choice(["k0", "k1"])
                case "eta":
                    spec.eta = now + rng.randrange(30)
                case "expires":
                    spec.expires_at = now + rng.randrange(1, 40)
                case _:
                    pass
            specs.append(spec)
            self._ids.append(id)
        plain = [spec.eta is None and spec.expires_at is None and spec.unique_key is None for spec in specs]
        items = [[s.id, s.unique_key, s.queue, s.priority, p] for s, p in zip(specs, plain, strict=True)]
        await self._note("enqueue", items, self._queue.enqueue(specs))

    async def _claim(
        self, limit: int | None = None, queues: Sequence[str] | None = None, lease_ms: int | None = None
    ) -> None:
        rng = self._rng
        self._claims += 1
        names = list(queues or rng.choice([["a"], ["b"], ["a", "b"], ["b", "a"]]))
        lease_ms = lease_ms or rng.choice([SHORT, LONG, LONG])
        limit = limit or rng.choice([1, 1, 2, 3])
        nonce = f"{crc32(self._name.encode()):08x}{self._claims:08x}"
        call = self._queue.claim(names, limit, self._name, lease_ms, nonce)
        self._held += await self._note("claim", [limit, names], call, lease_ms)

    async def _settle(self) -> None:
        if not self._held:
            return
        rng = self._rng
        grant = self._held.pop(rng.randrange(len(self._held)))
        self._past.append(grant)
        match rng.choice(["complete"] * 8 + ["retry", "abandon"] * 3 + ["release", "beat"] * 2 + ["fail"]):
            case "complete":
                await self._complete([grant])
            case "retry":
                await self._fail(grant, rng.choice([-5, 0, 10]))
            case "fail":
                await self._fail(grant, None)
            case "release":
                at = await self._queue.time() + rng.choice([-5, 0, 10])
                await self._note("release", [_token(grant)], self._queue.release([Release(grant.id, grant.token, at)]))
            case "beat":
                await self._beat(grant, SHORT if _is_short(grant) else LONG)
                self._held.append(grant)
            case _ if _is_short(grant):
                pass
            case _:
                self._held.append(grant)

    async def _settle_late(self) -> None:
        if not self._past:
            return
        grant = self._rng.choice(self._past)
        match self._rng.choice(["complete", "retry", "beat"]):
            case "complete":
                await self._complete([grant, grant])
            case "retry":
                await self._fail(grant, 0)
            case _:
                await self._beat(grant, SHORT)

    async def _complete(self, grants: list[Grant]) -> None:
        items = [Completion(grant.id, grant.token, self._result(grant, TaskStatus.COMPLETED)) for grant in grants]
        await self._note("complete", [_token(grant) for grant in grants], self._queue.complete(items))

    async def _fail(self, grant: Grant, retry: int | None) -> None:
        retry_at = None if retry is None else await self._queue.time() + retry
        item = Failure(grant.id, grant.token, "boom", retry_at, self._result(grant, TaskStatus.FAILED))
        await self._note("fail", [_token(grant)], self._queue.fail([item]))

    async def _beat(self, grant: Grant, lease_ms: int) -> None:
        call = self._queue.heartbeat([(grant.id, grant.token)], lease_ms)
        await self._note("heartbeat", [_token(grant)], call, lease_ms)

    def _result(self, grant: Grant, status: TaskStatus) -> ResultRecord | None:
        if not self._plan.joined:
            return None
        value = b"1" if status is TaskStatus.COMPLETED else None
        error = None if value else '{"type": "E", "message": "boom", "traceback": ""}'
        seq, epoch, _ = grant.token
        return ResultRecord(id=grant.id, seq=seq, epoch=epoch, status=status, value=value, error=error)

    async def _cancel(self) -> None:
        id = self._rng.choice(self._ids[1:] or [f"{self._name}.0"])
        await self._note("cancel", [[id]], self._queue.cancel([id]))

    async def _redrive(self) -> None:
        id = self._rng.choice(self._ids)
        await self._note("redrive", [[id]], self._queue.redrive([id]))

    async def _recover(self) -> None:
        await self._note("recover", [QUEUES], self._queue.recover(QUEUES))

    async def _rest(self) -> None:
        await asyncio.sleep(self._rng.choice([0, 0.001, 0.01]))


def _token(grant: Grant) -> list[Any]:
    return [grant.id, *grant.token]


def _is_short(grant: Grant) -> bool:
    """Tell whether the lease will run out soon, so that the run may be abandoned."""
    return grant.lease_until < time.time_ns() // 1_000_000 + LONG // 2


def _plain(grant: Grant) -> list[Any]:
    rank = (-grant.priority, grant.ready_at, grant.token.seq)
    return [grant.id, *grant.token, grant.attempt, grant.queue, rank, grant.lease_until]
