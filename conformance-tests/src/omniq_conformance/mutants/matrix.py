"""The kill matrix: every mutant with every seed, in several processes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.mutants.catalog import find_mutant
from omniq_conformance.mutants.killing import TIMED_OUT, Attempt, attempt_named
from omniq_conformance.mutants.workers import Worker
from omniq_conformance.registry import all_cases, items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from omniq_conformance.mutants.mutant import Mutant

__all__ = ["Row", "run_matrix", "unchallenged"]

_TABLES = range(5, 11)
"""The families whose cases each have to find some mutant; those of others are many or have tests of their own."""


@attrs.frozen
class Row:
    """What became of a mutant.

    Attributes:
        backend: Of which backend it is.
        name: Its name.
        held_out: Whether it is held out.
        attempts: One for each seed; a single one if its cases do the same with every seed.
    """

    backend: str
    name: str
    held_out: bool
    attempts: tuple[Attempt, ...]

    @property
    def is_killed(self) -> bool:
        """Whether it was found with every seed."""
        return all(each.killer is not None for each in self.attempts)

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {**attrs.asdict(self), "killed": self.is_killed}


def run_matrix(
    keys: Iterable[tuple[str, str]],
    *,
    profile: str,
    seeds: Sequence[int],
    processes: int,
    limit: float,
    attempts: Callable[[str, str, str, int], Attempt] = attempt_named,
) -> Iterator[Row]:
    """Yield a row for each (backend, name), in order; a process has one mutant applied at a time.

    Args:
        keys: Which mutants.
        profile: How much the cases do.
        seeds: With which seeds.
        processes: In how many processes.
        limit: How many seconds an attempt may take; one that takes longer is ended, and is a kill.
        attempts: What makes an attempt in such a process.
    """
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(processes)  # a thread waits for each process
        stack.callback(pool.shutdown)
        workers: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(processes):
            workers.put(stack.enter_context(Worker(attempts, limit)))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        futures = [pool.submit(_row, workers, backend, name, profile, seeds) for backend, name in keys]
        for future in futures:
            yield future.result()


def _row(workers: SimpleQueue[Worker], backend: str, name: str, profile: str, seeds: Sequence[int]) -> Row:
    mutant = find_mutant(backend, name)
    worker = workers.get()
    try:
        wanted = seeds if mutant.needs_seeds else seeds[:1]
        tried = tuple(_tried(worker, mutant, profile, seed) for seed in wanted)
    finally:
        workers.put(worker)
    return Row(backend, name, mutant.held_out, tried)


def _tried(worker: Worker, mutant: Mutant, profile: str, seed: int) -> Attempt:
    started = time.perf_counter()
    try:
        found: Attempt = worker.call(*mutant.key, profile, seed)
    except TimeoutError as error:
        seconds = time.perf_counter() - started
        return Attempt(seed=seed, killer=TIMED_OUT, programs=None, reason=str(error), seconds=seconds)
    return found


def unchallenged(rows: Iterable[Row]) -> list[str]:
    """Return the cases of the table families that killed none of these mutants."""
    killers = {each.killer for row in rows for each in row.attempts}
    killing = {item.case.id for item in items() if item.id in killers}
    return [each.id for each in all_cases() if each.family.number in _TABLES and each.id not in killing]
