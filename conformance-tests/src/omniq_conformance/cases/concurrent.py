"""Family 02: several actors at once, and decomposed checks of what they were told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.capabilities import Order
from omniq_conformance.cases.sharing import require_processes
from omniq_conformance.concurrency import crew
from omniq_conformance.concurrency.actor import QUEUES, Actor
from omniq_conformance.concurrency.checks import check_history
from omniq_conformance.concurrency.history import Plan
from omniq_conformance.outcomes import DivergenceError, VacuousError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from omniq.models.event import Event
    from omniq.models.record import TaskRecord
    from omniq_conformance.concurrency.history import Operation
    from omniq_conformance.space import Space, Stores

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_DRAIN = 30.0
_ALL = 1_000_000
_SHOWN = 20
_WANTED = frozenset({"claim", "lost", "LEASE_EXPIRED", "RETRYING", "two actors"})
_MORE = 10
"""So many more histories are run while they have not had everything: what happens in one is up to the machine."""


@case("OQ-Q-0201", modes=BOTH)
async def one_handle(trial: Trial) -> None:
    """Coroutines that share one handle get each task once, and every change is one of its life cycle."""
    await _histories(trial, crew.coroutines, trial.profile.histories)


@case("OQ-Q-0202", modes=BOTH)
async def several_handles(trial: Trial) -> None:
    """Handles in one event loop exclude each other as one handle does."""
    await _histories(trial, crew.handles, trial.profile.histories)


@case("OQ-Q-0203", modes=BOTH)
async def several_threads(trial: Trial) -> None:
    """Handles in threads of their own exclude each other as one handle does."""
    await _histories(trial, crew.threads, trial.profile.histories)


@case("OQ-Q-0204", modes=BOTH)
async def several_processes(trial: Trial) -> None:
    """Handles in processes of their own exclude each other as one handle does."""
    await require_processes(trial.space(), Role.TASK_QUEUE)
    await _histories(trial, crew.processes, max(1, trial.profile.histories // 3), actors=3)


async def _histories(
    trial: Trial, act: Callable[[Space, Plan], Awaitable[list[Operation]]], number: int, *, actors: int = 4
) -> None:
    seen: set[str] = set()
    run = 0
    while run < number or (_WANTED - seen and run < number + _MORE):
        plan = Plan(
            seed=1000 * trial.seed + run,
            actors=actors,
            tasks=trial.profile.tasks,
            joined=trial.mode is Mode.JOINED,
        )
        async with trial.space() as space:
            seen |= await _history(space, act, plan)
        run += 1
    trial.evidence.update(histories=run, seen=sorted(seen))
    if missing := _WANTED - seen:
        msg = f"{run} histories never had: {', '.join(sorted(missing))}."
        raise VacuousError(msg)


async def _history(space: Space, act: Callable[[Space, Plan], Awaitable[list[Operation]]], plan: Plan) -> set[str]:
    stores = await space.open()
    last = Actor(stores.task_queue, "last", plan)
    await last.begin_series()
    operations = await act(space, plan)
    await last.stop_series()
    await _drain(last, stores)
    operations += last.operations
    records = await stores.task_queue.list(limit=_ALL)
    events = await (stores.events.read(limit=_ALL) if plan.joined else stores.task_queue.outbox(_ALL))
    capabilities = stores.task_queue.capabilities
    faults = check_history(
        operations,
        records,
        events,
        exact_order=capabilities.order is Order.EXACT,
        clock_error_ms=capabilities.clock_error_ms,
    )
    if plan.joined:
        faults += await _results(stores, records)
    if faults:
        shown = "\n".join(faults[:_SHOWN])
        msg = f"{len(faults)} faults in the history of {act.__name__} with seed {plan.seed}:\n{shown}"
        raise DivergenceError(msg)
    return _seen(operations, events)


async def _drain(last: Actor, stores: Stores) -> None:
    deadline = time.monotonic() + _DRAIN
    while time.monotonic() < deadline:
        if await last.drain():
            continue
        at = await stores.task_queue.next_at(QUEUES)
        if at is None:
            return
        until = (at - await stores.task_queue.time()) / 1000
        await asyncio.sleep(max(0.001, min(until, deadline - time.monotonic())))


async def _results(stores: Stores, records: list[TaskRecord]) -> list[str]:
    """Return what is wrong with the results of a queue that stores them itself (I9)."""
    results = await stores.results.get([record.id for record in records])
    found = zip(records, results, strict=True)
    return [
        f"I9: task {record.id!r} ended as {record.state} at epoch {record.epoch}, its result is {result!r}"
        for record, result in found
        if result is None or (result.seq, result.epoch, result.status) != (record.seq, record.epoch, record.state)
    ]


def _seen(operations: Sequence[Operation], events: Sequence[Event]) -> set[str]:
    seen = {operation.name for operation in operations} | {event.type.value for event in events}
    seen |= {
        str(reply) for operation in operations if operation.name in {"complete", "fail"} for reply in operation.replies
    }
    workers: dict[str, set[str | None]] = {}
    for event in events:
        workers.setdefault(event.task_id, set()).add(event.worker)
    if any(len(names - {None}) > 1 for names in workers.values()):
        seen.add("two actors")
    return seen
