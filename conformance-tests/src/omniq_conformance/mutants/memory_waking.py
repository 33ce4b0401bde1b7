"""Mutants of the memory backend: waiting and being woken."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from omniq.models.status import TaskStatus
from omniq_conformance.mutants.mutant import Mutants
from omniq_memory import reading
from omniq_memory.events import MemoryEventStorage
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable
from omniq_memory.waiting import Board, Waiter

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MUTANTS"]

MUTANTS = Mutants("memory")


def _deaf(*_: object) -> None:
    """Wake nobody."""


for _cases in ("OQ-Q-1001", "OQ-Q-1010", "OQ-E-1001", "OQ-E-1003"):
    MUTANTS.add(f"nobody is woken {_cases}", _cases, Board, "wake", lambda _: _deaf)


@MUTANTS.broken("OQ-Q-1001", TaskTable, "_wait")
def retries_wake_nobody(original: Any, self: TaskTable, *rest: Any) -> Any:
    """Put a task back without a sound."""
    waiting, self.work.waiting = self.work.waiting, {}
    original(self, *rest)
    self.work.waiting = waiting


@MUTANTS.broken("OQ-Q-1002", MemoryTaskQueue, "wait")
async def a_wait_does_not_look_first(original: Any, self: Any, queues: Sequence[str], timeout: float) -> None:
    """Sleep until the next wake-up, whatever is there."""
    del original
    board = self._tasks.work
    with self._state.lock:
        waiter = Waiter()
        board.add(queues, waiter)
    await self._sleep(board, queues, waiter, timeout)


@MUTANTS.broken("OQ-Q-1003", MemoryTaskQueue, "wait")
async def waits_last_for_ever(original: Any, self: Any, queues: Sequence[str], timeout: float) -> None:
    """Forget the timeout."""
    await original(self, queues, timeout + 1.5)


def _mostly_deaf(original: Any) -> Any:
    """Lose nine wake-ups of ten."""
    calls = itertools.count()

    def wake(self: Board, key: str) -> None:
        if next(calls) % 10 == 0:
            original(self, key)

    return wake


MUTANTS.add("most wake ups are lost", "OQ-Q-1004", Board, "wake", _mostly_deaf)


@MUTANTS.broken("OQ-E-1005", Board, "wake")
def one_of_many_is_woken(original: Any, self: Board, key: str) -> None:
    """Let the others sleep on."""
    waiting = sorted(self.waiting.get(key, ()), key=id)
    self.waiting[key] = set(waiting[:1])
    original(self, key)
    self.waiting[key] = set(waiting[1:])


@MUTANTS.broken("OQ-Q-1005", MemoryTaskQueue, "wait")
async def a_wait_lies_down_late(original: Any, self: Any, queues: Sequence[str], timeout: float) -> None:
    """Miss what comes between the look and the sleep."""
    at = await self.next_at(queues)
    if at is not None and at <= self._state.clock.now():
        return
    await asyncio.sleep(0)
    await a_wait_does_not_look_first(original, self, queues, timeout)


@MUTANTS.broken("OQ-Q-1011", reading, "end_of")
def unknown_tasks_never_end(original: Any, record: Any, now: int) -> Any:
    """Wait for tasks that are not there."""
    return (False, None) if record is None else original(record, now)


@MUTANTS.broken("OQ-Q-1012", reading, "end_of")
def expiry_is_no_end(original: Any, record: Any, now: int) -> Any:
    """Wait for expired tasks until somebody sweeps."""
    ended, state = original(record, now)
    return (ended and record.state is not TaskStatus.PENDING, state) if record is not None else (ended, state)


@MUTANTS.broken("OQ-Q-1013", MemoryTaskQueue, "time")
async def the_clock_is_told_in_seconds(original: Any, self: Any) -> Any:
    """Round the time that is told, but not the times that are stored."""
    return await original(self) // 1000 * 1000 - 1000


@MUTANTS.broken("OQ-E-1002", MemoryEventStorage, "tail")
async def a_tail_begins_at_the_beginning(original: Any, self: Any, *, after: Any = None, **more: Any) -> Any:
    """Yield what was there before."""
    if after is None:
        for event in await self.read():
            yield event
    async for event in original(self, after=after, **more):
        yield event


@MUTANTS.broken("OQ-E-1004", MemoryEventStorage, "tail")
async def a_tail_knows_no_filter(original: Any, self: Any, *, after: Any = None, filter: Any = None) -> Any:
    """Yield every event."""
    del filter
    async for event in original(self, after=after):
        yield event
