"""Lets several actors act at once: coroutines on one handle or on several, threads, or processes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import attrs

from omniq_conformance.concurrency.actor import Actor
from omniq_conformance.concurrency.history import Operation
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.references import reference_to
from omniq_conformance.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from omniq_conformance.concurrency.history import Plan

__all__ = ["coroutines", "handles", "processes", "threads"]

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


def act_alone(space: Space, name: str, plan: Plan) -> list[Operation]:
    """Run one actor on a handle of its own, in an event loop of its own."""

    async def act() -> list[Operation]:
        mine = Space(space.harness, space.mode, space.name)
        try:
            actor = Actor((await mine.open()).task_queue, name, plan)
            await _together([actor.run])
            return actor.operations
        finally:
            await mine.close()

    return asyncio.run(act())


async def processes(space: Space, plan: Plan) -> list[Operation]:
    """Give every actor a process of its own."""
    found = await asyncio.gather(*(asyncio.to_thread(_process, space, name, plan) for name in _names(plan)))
    return [operation for operations in found for operation in operations]


def _process(space: Space, name: str, plan: Plan) -> list[Operation]:
    order = {
        "harness": reference_to(space.harness),
        "namespace": space.name,
        "mode": space.mode.value,
        "actor": name,
        "plan": attrs.asdict(plan),
    }
    done = subprocess.run(
        [sys.executable, "-m", "omniq_conformance.concurrency.child"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if done.returncode:
        msg = f"The process of {name} ended with {done.returncode}:\n{done.stderr}"
        raise DivergenceError(msg)
    return [Operation.from_json(line) for line in done.stdout.splitlines()]


async def _together(acts: list[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        for act in acts:
            group.create_task(act())
