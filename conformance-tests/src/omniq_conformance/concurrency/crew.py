"""Lets several actors act at once: coroutines on one handle or on several, threads, or processes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import attrs

from omniq_conformance.concurrency.actor import Actor
from omniq_conformance.concurrency.history import Operation
from omniq_conformance.interpreters import start_module
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.references import reference_to
from omniq_conformance.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from omniq_conformance.concurrency.history import Plan

__all__ = ["GO", "READY", "act_alone", "coroutines", "handles", "processes", "threads"]

READY, GO = "ready\n", "go\n"
"""What a child says once it can begin, and what it is told then."""

_PATIENCE = 60.0


def _names(plan: Plan) -> list[str]:
    return [f"actor{number}" for number in range(plan.actors)]


async def coroutines(space: Space, plan: Plan) -> list[Operation]:
    """Let all actors share one handle."""
    queue = (await space.open()).task_queue
    actors = [Actor(queue, name, plan) for name in _names(plan)]
    await _together([actor.run for actor in actors])
    return [operation for actor in actors for operation in actor.operations]


async def handles(space: Space, plan: Plan) -> list[Operation]:
    """Give every actor a handle of its own, in one event loop."""
    actors = [Actor((await space.open()).task_queue, name, plan) for name in _names(plan)]
    await _together([actor.run for actor in actors])
    return [operation for actor in actors for operation in actor.operations]


async def threads(space: Space, plan: Plan) -> list[Operation]:
    """Give every actor a thread, an event loop and a handle of its own."""
    found = await asyncio.gather(*(asyncio.to_thread(act_alone, space, name, plan) for name in _names(plan)))
    return [operation for operations in found for operation in operations]


def act_alone(space: Space, name: str, plan: Plan, begin: Callable[[], object] = lambda: None) -> list[Operation]:
    """Run one actor on a handle of its own, in an event loop of its own; `begin` is called once that is open."""

    async def act() -> list[Operation]:
        mine = Space(space.harness, space.mode, space.name)
        try:
            actor = Actor((await mine.open()).task_queue, name, plan)
            begin()
            await _together([actor.run])
            return actor.operations
        finally:
            await mine.close()

    return asyncio.run(act())


async def processes(space: Space, plan: Plan) -> list[Operation]:
    """Give every actor a process of its own; they begin together, once all of them are there."""
    together = threading.Barrier(plan.actors)
    acts = (asyncio.to_thread(_process, space, name, plan, together) for name in _names(plan))
    return [operation for operations in await asyncio.gather(*acts) for operation in operations]


def _process(space: Space, name: str, plan: Plan, together: threading.Barrier) -> list[Operation]:
    order = {
        "harness": reference_to(space.harness),
        "namespace": space.name,
        "mode": space.mode.value,
        "actor": name,
        "plan": attrs.asdict(plan),
    }
    with start_module("concurrency.child", order) as child:
        try:
            if child.stdout is None or child.stdout.readline() != READY:
                together.abort()
            elif not _begin_with_the_others(together):
                child.kill()
                return []
            told, faults = child.communicate(GO, _PATIENCE)
        except BaseException:
            together.abort()
            child.kill()
            raise
    if child.returncode:
        msg = f"The process of {name} ended with {child.returncode}:\n{faults}"
        raise DivergenceError(msg)
    return [Operation.from_json(line) for line in told.splitlines()]


def _begin_with_the_others(together: threading.Barrier) -> bool:
    """Wait until every process can begin; False if one of them failed, which says why."""
    try:
        together.wait(_PATIENCE)
    except threading.BrokenBarrierError:
        return False
    return True


async def _together(acts: list[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        for act in acts:
            group.create_task(act())
