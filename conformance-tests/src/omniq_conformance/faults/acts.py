"""The operations that a scenario of crashes is made of; each may be done again after its process died in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.config import Role
from omniq.models.record import Completion, Failure, Release, Token
from omniq.models.result import ResultRecord
from omniq.models.status import TERMINAL, TaskStatus

if TYPE_CHECKING:
    from omniq.models.event import Event
    from omniq.models.record import Grant, TaskSpec
    from omniq.models.schedule import Schedule
    from omniq.storage.schedules import Advance
    from omniq_conformance.space import Stores

__all__ = [
    "LEASE",
    "QUEUE",
    "WORKER",
    "Act",
    "Steps",
    "ack",
    "advance",
    "append",
    "cancel",
    "claim",
    "complete",
    "enqueue",
    "fail",
    "fire",
    "heartbeat",
    "pause",
    "purge",
    "put",
    "put_missing",
    "put_schedule",
    "recover",
    "redrive",
    "release",
    "resume",
]

QUEUE, WORKER, LEASE = "a", "worker", 100_000
_ALL = 1000

Tokens = dict[str, Token]
"""The latest token of each task that was granted."""
Run = Callable[["Stores", Tokens], Awaitable[Any]]


class Steps(Enum):
    """What of an operation happens in one step, so that a crash leaves all or nothing of it."""

    TASKS = "tasks"
    """Everything about one task: its record, event, outbox entry and joined result, and the next run of its series."""
    ITEMS = "items"
    """Every single record that is stored."""
    WHOLE = "whole"
    """The whole operation."""


@attrs.frozen
class Act:
    """One operation of a scenario.

    Attributes:
        name: Of the operation, with what it is about.
        run: Does it on opened stores, and notes the tokens that it was granted. Doing it again after a crash or an
            error leaves what doing it once leaves.
        steps: What of it a crash must not tear apart.
    """

    name: str
    run: Run
    steps: Steps = Steps.TASKS


def _with(role: Role, run: Run) -> Run:
    """Leave out what is done in a role that is not there; its absence is judged before a scenario begins."""

    async def do(stores: Stores, tokens: Tokens) -> Any:
        return None if role in stores.absent else await run(stores, tokens)

    return do


def _ids(things: Iterable[Any]) -> str:
    return ", ".join(thing if isinstance(thing, str) else thing.id for thing in things)


# Tasks


def enqueue(now: int, *specs: TaskSpec) -> Act:
    """Enqueue tasks."""
    return Act(f"enqueue({_ids(specs)})", lambda stores, _: stores.task_queue.enqueue(specs, now=now))


def claim(now: int, limit: int, *, lease_ms: int = LEASE) -> Act:
    """Claim tasks; what an earlier try with the same claim id got is looked up first."""
    nonce = f"{now:016x}"

    async def run(stores: Stores, tokens: Tokens) -> list[Grant]:
        grants = await stores.task_queue.held(WORKER, nonce)
        if len(grants) < limit:
            left = limit - len(grants)
            grants += await stores.task_queue.claim((QUEUE,), left, WORKER, lease_ms, nonce, now=now)
        tokens.update({grant.id: grant.token for grant in grants})
        return sorted(grants, key=lambda grant: (-grant.priority, grant.ready_at, grant.id))

    return Act(f"claim({limit})", run)


def heartbeat(now: int, lease_ms: int, *ids: str) -> Act:
    """Extend leases."""

    def run(stores: Stores, tokens: Tokens) -> Awaitable[Any]:
        return stores.task_queue.heartbeat([(id, tokens[id]) for id in ids], lease_ms, now=now)

    return Act(f"heartbeat({_ids(ids)})", run)


def _outcome(id: str, token: Token, status: TaskStatus, error: str | None = None) -> ResultRecord:
    value = f'"{id}"'.encode() if status is TaskStatus.COMPLETED else None
    return ResultRecord(id=id, seq=token.seq, epoch=token.epoch, status=status, value=value, error=error)


def complete(now: int, *ids: str, joined: bool) -> Act:
    """Complete runs, with their results if the queue stores them itself."""

    def run(stores: Stores, tokens: Tokens) -> Awaitable[Any]:
        items = [
            Completion(id, tokens[id], _outcome(id, tokens[id], TaskStatus.COMPLETED) if joined else None) for id in ids
        ]
        return stores.task_queue.complete(items, now=now)

    return Act(f"complete({_ids(ids)})", run)


def fail(now: int, id: str, *, retry_at: int | None = None, joined: bool) -> Act:
    """Report a run as failed."""

    def run(stores: Stores, tokens: Tokens) -> Awaitable[Any]:
        told = '{"type": "E", "message": "boom", "traceback": ""}'
        result = _outcome(id, tokens[id], TaskStatus.FAILED, told) if joined else None
        return stores.task_queue.fail([Failure(id, tokens[id], "boom", retry_at, result)], now=now)

    return Act(f"fail({id})", run)


def release(now: int, id: str) -> Act:
    """Give a run back."""

    def run(stores: Stores, tokens: Tokens) -> Awaitable[Any]:
        return stores.task_queue.release([Release(id, tokens[id], now)], now=now)

    return Act(f"release({id})", run)


def recover(now: int) -> Act:
    """Put stale runs back."""
    return Act("recover", lambda stores, _: stores.task_queue.recover((QUEUE,), now=now))


def cancel(now: int, *ids: str) -> Act:
    """Cancel tasks."""
    return Act(f"cancel({_ids(ids)})", lambda stores, _: stores.task_queue.cancel(ids, now=now))


def redrive(now: int, *ids: str) -> Act:
    """Open ended tasks again."""
    return Act(f"redrive({_ids(ids)})", lambda stores, _: stores.task_queue.redrive(ids, now=now))


def purge(now: int) -> Act:
    """Remove every ended task whose outbox is empty."""
    return Act("purge", lambda stores, _: stores.task_queue.purge(TERMINAL, now))


def pause(queue: str) -> Act:
    """Pause a queue."""
    return Act(f"pause({queue})", lambda stores, _: stores.task_queue.pause([queue]))


def resume(queue: str) -> Act:
    """Resume a queue."""
    return Act(f"resume({queue})", lambda stores, _: stores.task_queue.resume([queue]))


# The other roles


def put(now: int, *ids: str) -> Act:
    """Store results before their runs are settled, as a worker does whose queue does not store them."""

    def run(stores: Stores, tokens: Tokens) -> Awaitable[Any]:
        return stores.results.put([_outcome(id, tokens[id], TaskStatus.COMPLETED) for id in ids], now=now)

    return Act(f"put({_ids(ids)})", _with(Role.RESULT_STORAGE, run), Steps.ITEMS)


def put_missing(now: int) -> Act:
    """Store the results of tasks that ended without a worker's, as the relay does."""

    async def run(stores: Stores, _: Tokens) -> None:
        ended = [entry for entry in await _outbox(stores, now) if entry.state in TERMINAL]
        there = await stores.results.get([entry.task_id for entry in ended], now=now)
        missing = [entry for entry, result in zip(ended, there, strict=True) if result is None]
        await stores.results.put([_result_of(entry) for entry in missing], now=now)

    return Act("put the missing results", _with(Role.RESULT_STORAGE, run), Steps.ITEMS)


def _result_of(entry: Event) -> ResultRecord:
    return _outcome(entry.task_id, Token(entry.seq, entry.epoch, ""), entry.state or TaskStatus.FAILED)


async def _outbox(stores: Stores, now: int) -> list[Event]:
    return await stores.task_queue.outbox(_ALL, now=now)


def append(now: int) -> Act:
    """Append the entries of the outbox to the event log."""

    async def run(stores: Stores, _: Tokens) -> int:
        return await stores.events.append(await _outbox(stores, now))

    return Act("append", _with(Role.EVENT_STORAGE, run), Steps.ITEMS)


def ack(now: int) -> Act:
    """Acknowledge the entries of the outbox."""

    async def run(stores: Stores, _: Tokens) -> None:
        await stores.task_queue.outbox_ack(await _outbox(stores, now))

    return Act("outbox_ack", run, Steps.ITEMS)


def put_schedule(now: int, schedule: Schedule) -> Act:
    """Store a new schedule."""

    def run(stores: Stores, _: Tokens) -> Awaitable[Any]:
        return stores.schedules.put(schedule, expected_version=0, now=now)

    return Act(f"put({schedule.id})", _with(Role.SCHEDULE_STORAGE, run))


def fire(now: int, spec: TaskSpec, move: Advance) -> Act:
    """Fire a schedule in one step; where no schedules are, enqueue its task."""

    def run(stores: Stores, _: Tokens) -> Awaitable[Any]:
        if Role.SCHEDULE_STORAGE in stores.absent:
            return stores.task_queue.enqueue([spec], now=now)
        return stores.task_queue.fire([spec], move, now=now)

    return Act(f"fire({spec.id})", run, Steps.WHOLE)


def advance(move: Advance) -> Act:
    """Move a schedule on after its task was enqueued."""
    return Act(f"advance({move.id})", _with(Role.SCHEDULE_STORAGE, lambda stores, _: stores.schedules.advance([move])))
