"""The runs that a worker holds: how many slots are taken, what is not recorded yet, and the counts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from omniq.worker.context import Run
from omniq.worker.options import WorkerReport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.models.record import Grant
    from omniq.worker.context import RunDesk
    from omniq.worker.options import WorkerOptions

__all__ = ["Roster"]

_LEAST_BACKLOG = 200


class Roster:
    """The runs from claim to record.

    Everything but `held` and `claims` belongs to the worker's event loop. The lease thread reads these two; single
    operations on dicts are atomic, so no lock is needed and a blocked event loop does not block the thread.

    Attributes:
        held: Every run whose outcome is not recorded, by task id.
        claims: The time at which each claim was sent that is not answered, by claim id.
        busy: Slots that are taken: bodies that have not ended, and what claims on their way may bring.
        stuck: Runs that were given up although their body goes on.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self.held: dict[str, Run] = {}
        self.claims: dict[str, float] = {}
        self.busy = 0
        self.stuck = 0
        self.claimed = 0
        self.completed = 0
        self.failed = 0
        self.retried = 0
        self.released = 0
        self.lost = 0
        self.recycle_reason = ""
        self._name = options.name
        self._concurrency = options.concurrency
        # What ended but is not recorded takes no slot, or the next claim would wait for every write. It is bounded,
        # because a crash repeats all of it.
        self._most_held = options.concurrency + max(_LEAST_BACKLOG, options.concurrency)
        self._waiter: asyncio.Future[None] | None = None

    @property
    def free(self) -> int:
        """How many tasks may be claimed now."""
        return min(self._concurrency - self.busy, self._most_held - len(self.held))

    @property
    def unsettled(self) -> int:
        """How many runs ended and are not recorded yet."""
        return sum(1 for run in self.held.copy().values() if run.ended)

    def admit(self, grants: Iterable[Grant], desk: RunDesk, sent_at: float) -> list[Run]:
        """Take granted tasks in; their slots were reserved when the claim was sent.

        Args:
            grants: What the claim granted.
            desk: The worker.
            sent_at: When the claim was sent, which is before its leases began.
        """
        held = self.held
        runs = [Run(grant, desk, sent_at) for grant in grants]
        ids = [run.grant.id for run in runs]
        if not held.keys().isdisjoint(ids):
            for task_id in held.keys() & ids:
                # The task is ours again, so the run that we hold lost its lease without hearing of it.
                desk.superseded(held[task_id])
        held.update(zip(ids, runs, strict=True))
        self.claimed += len(runs)
        return runs

    def end(self, run: Run) -> None:
        """Note that the body of a run ended or was given up: its slot is free."""
        run.ended = True
        self.busy -= 1
        if self._waiter is not None:
            self.wake()

    def drop(self, run: Run) -> None:
        """Forget a run that was recorded, or that is not ours any more."""
        held = self.held
        if held.get(run.grant.id) is run:
            del held[run.grant.id]
            if self._waiter is not None:
                self.wake()

    def drop_all(self, runs: Iterable[Run]) -> None:
        """Forget runs that were recorded."""
        held = self.held
        for run in runs:
            task_id = run.grant.id
            found = held.pop(task_id, None)
            if found is not run and found is not None:
                held[task_id] = found  # the task was granted again in the meantime
        self.wake()

    def wake(self) -> None:
        """Wake who waits for a change."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def changed(self) -> None:
        """Wait until a run ended or was recorded, or `wake` was called."""
        if self._waiter is None:
            self._waiter = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._waiter)

    async def changed_or(self, timeout: float) -> None:
        """Wait like `changed`, but at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.changed()

    def report(self) -> WorkerReport:
        """Return the counts so far."""
        return WorkerReport(
            name=self._name,
            claimed=self.claimed,
            completed=self.completed,
            failed=self.failed,
            retried=self.retried,
            released=self.released,
            lost=self.lost,
            recycle_reason=self.recycle_reason,
        )
