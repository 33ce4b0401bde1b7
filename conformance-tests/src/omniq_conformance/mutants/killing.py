"""Tries cases on a mutant until one kills it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from omniq_conformance.engine import run_item
from omniq_conformance.mutants.catalog import find_mutant
from omniq_conformance.mutants.editing import EditError
from omniq_conformance.mutants.harness import MutantHarness
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items

if TYPE_CHECKING:
    from omniq_conformance.mutants.mutant import Mutant
    from omniq_conformance.outcomes import Outcome
    from omniq_conformance.profiles import Profile

__all__ = ["TIMED_OUT", "Attempt", "attempt", "attempt_named", "is_kill"]

TIMED_OUT = "timed out"
"""The killer of a mutant that was ended because it took too long: no case waits so long for a good backend."""

_PATIENCE = 1.0


@attrs.frozen(kw_only=True)
class Attempt:
    """What became of a mutant with one seed.

    Attributes:
        seed: The seed.
        killer: The id of the item that found it, `timed out` if it took too long; None if it survived.
        programs: How many programs that took, if the item runs programs.
        reason: What the item said; for a survivor, what was raised that is no wrong answer.
        seconds: How long it took.
    """

    seed: int
    killer: str | None
    programs: int | None
    reason: str
    seconds: float


def attempt(mutant: Mutant, *, profile: str = "pr", seed: int = 0) -> Attempt:
    """Run the mutant's own cases until one finds it.

    Raises:
        ValueError: No case begins with what the mutant says.
    """
    own = [item for item in items() if item.id.startswith(mutant.cases)]
    if not own:
        msg = f"The mutant {mutant.name!r} names the cases {mutant.cases}, and there are none."
        raise ValueError(msg)
    quick = _quick(PROFILES[profile])
    started = time.perf_counter()
    raised: list[str] = []
    seconds = 0.0
    try:
        with MutantHarness(mutant) as harness:
            for item in own:
                outcome = run_item(item, harness, quick, seed=seed)
                seconds = time.perf_counter() - started
                if is_kill(outcome, mutant):
                    programs = outcome.evidence.get("programs")
                    return Attempt(seed=seed, killer=item.id, programs=programs, reason=outcome.reason, seconds=seconds)
                if outcome.status is Status.FAIL:
                    raised.append(f"{item.id}: {outcome.reason}")
    except EditError as error:
        raised.append(f"The mutant cannot be made: {error}")
    return Attempt(seed=seed, killer=None, programs=None, reason="\n".join(raised), seconds=seconds)


def attempt_named(backend: str, name: str, profile: str, seed: int) -> Attempt:
    """Do so with the mutant of that name."""
    return attempt(find_mutant(backend, name), profile=profile, seed=seed)


def _quick(profile: Profile) -> Profile:
    """Return a profile that does the same, but neither minimizes failures nor waits long for what never comes."""
    return attrs.evolve(profile, minimizes=False, patience=_PATIENCE)


def is_kill(outcome: Outcome, mutant: Mutant) -> bool:
    """Tell whether the case found the bug: a mutant that raises something is broken in another way than it says."""
    return outcome.status is Status.FAIL and _shows(outcome.error, (AssertionError, TimeoutError, *mutant.raises))


def _shows(error: BaseException | None, kinds: tuple[type[Exception], ...]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_shows(each, kinds) for each in error.exceptions)
    return isinstance(error, kinds)
