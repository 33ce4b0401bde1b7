"""Claims and sweeps: the best candidates of the view, each taken by compare-and-set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.errors import OmniQError
from omniq.models.record import Failure, Token
from omniq.storage import transitions
from omniq_nats.codec import EPOCH, NONCE, RUNNING, SEQ, STATE, STATES, UNREADABLE, Slot, grant_of
from omniq_nats.reading import claim_order
from omniq_nats.tasks import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import Grant, TaskRecord
    from omniq.models.status import TaskStatus
    from omniq_nats.jetstream import Progress
    from omniq_nats.tasks import Tasks

__all__ = ["claim", "recover"]

_DAMAGED = "The stored task cannot be decoded; its bytes are in the stream."


async def claim(
    tasks: Tasks,
    queues: Sequence[str],
    limit: int,
    worker: str,
    lease_ms: int,
    nonce: str,
    now: int,
    progress: Progress,
) -> list[Grant]:
    """Start the best ready tasks; the view was made fresh."""
    store = tasks.store
    view = store.view
    taken: list[Slot] = []
    damaged: list[Slot] = []
    while len(taken) < limit:
        found = view.ready(queues, now, limit - len(taken))
        if not found:
            break
        try:
            made = [tasks.steps.start(old, now, worker, lease_ms, nonce) for old in found]
            done = await store.put(made, progress)
            missed = [old.id for old, is_done in zip(found, done, strict=True) if not is_done]
            if missed:
                await store.load(missed)
        except OmniQError as error:
            view.put_back(found)
            raise progress.failed(error) from error
        except BaseException:
            view.put_back(found)
            raise
        taken += [slot for slot, is_done in zip(made, done, strict=True) if is_done]
    taken.sort(key=claim_order)
    try:
        bodies = await tasks.bodies(taken)
    except OmniQError as error:
        raise progress.failed(error) from error
    grants = []
    for slot, body in zip(taken, bodies, strict=True):
        if body is UNREADABLE:
            damaged.append(slot)
        else:
            grants.append(grant_of(slot.row or (), body))
    if damaged:
        await _end_damaged(tasks, damaged, now, progress)
    return grants


async def _end_damaged(tasks: Tasks, slots: Sequence[Slot], now: int, progress: Progress) -> None:
    def decide(old: Slot) -> tuple[Slot | None, None]:
        if old.row is None or old.row[STATE] != RUNNING:
            return None, None
        failure = Failure(old.id, Token(old.row[SEQ], old.row[EPOCH], old.row[NONCE]), _DAMAGED)
        return tasks.steps.change(
            old, lambda record: transitions.fail(record, now, error=failure.error, retry_at=None), now
        ), None

    await tasks.change([Change(slot.id, decide) for slot in slots], progress, is_fresh=False)


async def recover(
    tasks: Tasks, queues: Sequence[str], limit: int, now: int, progress: Progress
) -> list[tuple[str, TaskStatus]]:
    """Take over stale tasks, then end expired ones; the view was made fresh."""
    view = tasks.store.view
    stale = view.stale(queues, now, limit)
    answers = await _sweep(tasks, stale, now, progress, is_stale=True) if stale else []
    expired = view.expired(queues, now, limit - len(answers))
    if expired:
        answers += await _sweep(tasks, expired, now, progress, is_stale=False)
    return answers


async def _sweep(
    tasks: Tasks, slots: Sequence[Slot], now: int, progress: Progress, *, is_stale: bool
) -> list[tuple[str, TaskStatus]]:
    def step(record: TaskRecord) -> transitions.Step | None:
        if is_stale:
            is_due = record.lease_until is not None and record.lease_until <= now
            return transitions.recover(record, now) if is_due else None
        return transitions.expire(record, now) if transitions.is_expired(record, now) else None

    def decide(old: Slot) -> tuple[Slot | None, Any]:
        if old.row is None or old.stage is not None:
            return None, None
        new = tasks.steps.change(old, step, now)
        return new, None if new is None else STATES[(new.row or ())[STATE]]

    found = await tasks.change([Change(slot.id, decide) for slot in slots], progress, is_fresh=True)
    return [(slot.id, state) for slot, state in zip(slots, found, strict=True) if state is not None]
