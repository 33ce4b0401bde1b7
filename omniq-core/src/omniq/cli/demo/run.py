"""The course of the demo."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import attrs

from omniq.app import AsyncOmniQ
from omniq.cli.demo.outcome import Check, Outcome, collect, verify
from omniq.cli.demo.stage import SCHEDULE_RUNS, Piece, Stage
from omniq.config import Settings
from omniq.errors import TaskError
from omniq.models.record import TaskFilter
from omniq.models.status import TERMINAL
from omniq.storage.resolution import RolePlan

if TYPE_CHECKING:
    from pathlib import Path

    from omniq.cli.demo.files import Selection
    from omniq.cli.demo.screen import Screen
    from omniq.storage.factory import Stores

__all__ = ["Demo", "run_demo"]

_PATIENCE = 60.0
_LOOK_EVERY = 0.02
_CONCURRENCY = 16


@attrs.frozen(kw_only=True)
class Demo:
    """What a run of the demo came to.

    Attributes:
        store: The backend of the task queue.
        stage: What was enqueued.
        outcome: What became of it.
        checks: Whether that is right.
        seconds: How long the work on the files took.
        sparks: How many tasks the speed test had.
    """

    store: RolePlan
    stage: Stage
    outcome: Outcome
    checks: list[Check]
    seconds: float
    sparks: int

    @property
    def succeeded(self) -> bool:
        """Whether everything is as it should be."""
        return all(check.holds for check in self.checks)


async def run_demo(selection: Selection, folder: Path, backend: str, sparks: int, screen: Screen) -> Demo:
    """Enqueue, work, and check.

    Args:
        selection: The files to work on.
        folder: For the store, the archives and the index.
        backend: Which backend keeps all four roles.
        sparks: How many tasks the speed test has; 0 leaves it out.
        screen: Who shows the progress.
    """
    archives = folder / "archives"
    archives.mkdir(exist_ok=True)
    async with AsyncOmniQ(Settings(backend=backend, base_dir=folder)) as app:
        stores = await app.connect()
        stage = Stage(app, await _free_queue(stores), archives)
        await stage.enqueue(selection)
        screen.start(stage.pieces, sparks)
        began = time.perf_counter()
        async with app.worker(queues=stage.queue, concurrency=_CONCURRENCY):
            await stage.add_schedule()
            async with asyncio.TaskGroup() as group:
                for piece in stage.pieces:
                    group.create_task(_follow(piece, screen))
                group.create_task(_await_schedule(stores, stage, screen))
            seconds = time.perf_counter() - began
        if sparks:
            async with app.worker(queues=stage.spark_queue):
                await _burn(stage, stores, sparks, screen)
        screen.stop()
        outcome = await collect(stores, stage)
        return Demo(
            store=stores.plan.roles[0],
            stage=stage,
            outcome=outcome,
            checks=await asyncio.to_thread(verify, stage, outcome, selection, sparks),
            seconds=seconds,
            sparks=sparks,
        )


async def _free_queue(stores: Stores) -> str:
    """Return a queue that no earlier run of the demo used in this store."""
    taken = {stats.name for stats in await stores.task_queue.queues()}
    names = ("demo" if number == 1 else f"demo-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


async def _follow(piece: Piece, screen: Screen) -> None:
    try:
        piece.value = await piece.job.result(timeout=_PATIENCE)
    except (TaskError, TimeoutError) as error:
        piece.error = f"{type(error).__name__}: {error}"
    screen.advance(piece.kind)


async def _await_schedule(stores: Stores, stage: Stage, screen: Screen) -> None:
    """Wait until the schedule's tasks have ended; they have ids that only the scheduler knows."""
    ended = TaskFilter(queues=frozenset({stage.queue}), funcs=frozenset({"demo.report_progress"}), states=TERMINAL)
    await _count_to(SCHEDULE_RUNS, stores, ended, screen, "report")


async def _burn(stage: Stage, stores: Stores, sparks: int, screen: Screen) -> None:
    """Enqueue many tasks that do nothing, and wait until all of them are recorded as done."""
    await stage.spark.enqueue_many([(number,) for number in range(sparks)])
    ended = TaskFilter(queues=frozenset({stage.spark_queue}), states=TERMINAL)
    await _count_to(sparks, stores, ended, screen, "spark")


async def _count_to(total: int, stores: Stores, wanted: TaskFilter, screen: Screen, kind: str) -> None:
    seen = 0
    deadline = time.monotonic() + _PATIENCE
    while seen < total and time.monotonic() < deadline:
        count = await stores.task_queue.count(wanted)
        if count > seen:
            screen.advance(kind, count - seen)
        seen = count
        await asyncio.sleep(_LOOK_EVERY)
