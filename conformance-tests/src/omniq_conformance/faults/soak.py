"""Workers that are killed at random moments, and the verdict on all that they did together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from omniq.models.event import EventType
from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.status import TERMINAL, TaskStatus
from omniq_conformance.invariants import chains, check_chain, check_conservation, check_fold, check_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omniq.models.event import Event
    from omniq.models.record import TaskRecord
    from omniq.storage.task_queue import TaskQueue
    from omniq_conformance.faults.ledger import Ledger, Line
    from omniq_conformance.space import Space, Stores

__all__ = ["drain", "verdict", "work"]

_QUEUE = "a"
_LEASE, _ATTEMPTS = 300, 1000
_ALL = 1_000_000


async def work(space: Space, ledger: Ledger, name: str) -> None:
    """Enqueue, claim and complete until killed."""
    queue = (await space.open()).task_queue
    number = 0
    while True:
        number += 1
        ids = [f"{name}.{number}.{place}" for place in range(2)]
        ledger.note("enqueue", ids)
        await queue.enqueue([_spec(id) for id in ids])
        ledger.note("enqueued", ids)
        await _run_some(queue, ledger, f"{name}.{number}")


def _spec(id: str) -> TaskSpec:
    return TaskSpec(id=id, body=TaskBody(func="pkg.f"), queue=_QUEUE, max_attempts=_ATTEMPTS)


async def _run_some(queue: TaskQueue, ledger: Ledger, name: str, limit: int = 3) -> bool:
    nonce = f"{hash(name) & (1 << 64) - 1:016x}"
    grants = await queue.claim((_QUEUE,), limit, name, _LEASE, nonce)
    for grant in grants:
        ledger.note("run", grant.id, grant.token.epoch)
    replies = await queue.complete([Completion(grant.id, grant.token) for grant in grants])
    for grant, reply in zip(grants, replies, strict=True):
        ledger.note("completed", grant.id, grant.token.epoch, reply)
    return bool(grants)


async def drain(stores: Stores, ledger: Ledger, patience: float) -> None:
    """Finish what the killed left, once their leases are over."""
    queue = stores.task_queue
    deadline = time.monotonic() + patience
    number = 0
    while time.monotonic() < deadline and await queue.next_at((_QUEUE,)) is not None:
        number += 1
        if not await _run_some(queue, ledger, f"last.{number}", 100):
            await asyncio.sleep(0.02)


async def verdict(stores: Stores, lines: Sequence[Line]) -> tuple[list[str], dict[str, int]]:
    """Return what is wrong with what the workers of a separate queue were told, and how often what happened."""
    records = await stores.task_queue.list(limit=_ALL)
    events = await stores.task_queue.outbox(_ALL)
    faults = [*check_records(records), *_lost(lines, records, events), *_repeated(lines, events)]
    by_task = chains(events)
    for record in records:
        chain = by_task.get((record.id, record.seq), [])
        faults += [*check_chain(chain), *check_fold(record, chain)]
        if record.state is not TaskStatus.COMPLETED:
            faults.append(f"task {record.id!r} never completed: it is {record.state}")
    runs = Counter(line[1] for line in lines if line[0] == "run")
    counts = {
        "acknowledged": sum(len(line[1]) for line in lines if line[0] == "enqueued"),
        "completed": sum(record.state in TERMINAL for record in records),
        "lost": sum("is lost" in fault for fault in faults),
        "run again": sum(number > 1 for number in runs.values()),
        "leases that ran out": sum(event.type is EventType.LEASE_EXPIRED for event in events),
    }
    return faults, counts


def _lost(lines: Sequence[Line], records: Sequence[TaskRecord], events: Sequence[Event]) -> Iterator[str]:
    """I3: what was acknowledged is there; what was only asked for may be."""
    acknowledged = {id for line in lines if line[0] == "enqueued" for id in line[1]}
    asked = {id for line in lines if line[0] == "enqueue" for id in line[1]}
    there = {record.id for record in records}
    yield from check_conservation(acknowledged | asked & there, records, events)


def _repeated(lines: Sequence[Line], events: Sequence[Event]) -> Iterator[str]:
    """Every run is a grant of its own, every further run of a task follows the end of a lease, and one completes it."""
    runs = Counter((line[1], line[2]) for line in lines if line[0] == "run")
    for (id, epoch), number in runs.items():
        if number > 1:
            yield f"I1: epoch {epoch} of task {id!r} was granted {number} times"
    completions = Counter(line[1] for line in lines if line[0] == "completed" and line[3] == "ok")
    for id, number in completions.items():
        if number > 1:
            yield f"task {id!r} was completed {number} times"
    expired = Counter(event.task_id for event in events if event.type is EventType.LEASE_EXPIRED)
    for id, number in Counter(id for id, _ in runs).items():
        if number > 1 + expired[id]:
            yield f"task {id!r} was run {number} times, though its lease ran out {expired[id]} times"
