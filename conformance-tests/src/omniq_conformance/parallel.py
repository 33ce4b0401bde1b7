"""Runs items in several processes, each with a harness of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

import attrs

from omniq_conformance.engine import run_item
from omniq_conformance.harness import Harness
from omniq_conformance.profiles import PROFILES
from omniq_conformance.references import harness_from
from omniq_conformance.registry import Item, items

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from omniq_conformance.outcomes import Outcome

__all__ = ["run_in_processes"]


@attrs.frozen
class _Runner:
    """What one process keeps from item to item."""

    harness: Harness
    profile: str
    seed: int
    items: Mapping[str, Item]


_runner: _Runner | None = None


def run_in_processes(
    wanted: Iterable[Item], reference: dict[str, str], profile: str, seed: int, jobs: int
) -> Iterator[tuple[Item, Outcome]]:
    """Run items in so many processes; yield the verdicts in the order of the items.

    A harness without a url starts a server in each process, so what a case does to its server disturbs no other.

    Args:
        wanted: What to run.
        reference: The harness, as `reference_to` describes it.
        profile: The name of the profile.
        seed: Of everything random.
        jobs: The number of processes.
    """
    chosen = list(wanted)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(reference, profile, seed)) as pool:
        yield from zip(chosen, pool.map(_run, [item.id for item in chosen]), strict=True)


def _begin(reference: dict[str, str], profile: str, seed: int) -> None:
    global _runner  # noqa: PLW0603 - a process of the pool has one, for all of its life
    harness = harness_from(reference)
    harness.__enter__()
    Finalize(harness, harness.__exit__, (None, None, None), exitpriority=1)  # processes of a pool run no atexit
    _runner = _Runner(harness, profile, seed, {item.id: item for item in items()})


def _run(id: str) -> Outcome:
    assert _runner is not None
    outcome = run_item(_runner.items[id], _runner.harness, PROFILES[_runner.profile], seed=_runner.seed)
    return attrs.evolve(outcome, error=None)  # an exception may hold what cannot be pickled
