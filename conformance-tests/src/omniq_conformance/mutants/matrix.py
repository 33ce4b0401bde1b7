"""The kill matrix: every mutant with every seed, in several processes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.mutants.catalog import find_mutant
from omniq_conformance.mutants.killing import Attempt, attempt
from omniq_conformance.registry import all_cases, items

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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


def run_matrix(keys: Iterable[tuple[str, str]], *, profile: str, seeds: Sequence[int], processes: int) -> Iterator[Row]:
    """Yield a row for each (backend, name), in order; a process has one mutant applied at a time."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_row, backend, name, profile, seeds) for backend, name in keys]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _row(backend: str, name: str, profile: str, seeds: Sequence[int]) -> Row:
    mutant = find_mutant(backend, name)
    wanted = seeds if mutant.needs_seeds else seeds[:1]
    attempts = tuple(attempt(mutant, profile=profile, seed=seed) for seed in wanted)
    return Row(backend, name, mutant.held_out, attempts)


def unchallenged(rows: Iterable[Row]) -> list[str]:
    """Return the cases of the table families that killed none of these mutants."""
    killers = {each.killer for row in rows for each in row.attempts}
    killing = {item.case.id for item in items() if item.id in killers}
    return [each.id for each in all_cases() if each.family.number in _TABLES and each.id not in killing]
