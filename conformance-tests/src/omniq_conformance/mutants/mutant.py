"""What a mutant is, and how it is killed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs

from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.programs.pools import pool
from omniq_conformance.programs.session import execute
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omniq_conformance.harness import Harness
    from omniq_conformance.profiles import Profile

__all__ = ["Mutant", "mutant", "programs_to_kill"]


@attrs.frozen
class Mutant:
    """One planted bug.

    Attributes:
        name: Says what is wrong.
        family: Whose programs have to find it.
        owner: The class or module of the function that is replaced.
        attribute: The function's name.
        broken: The replacement; it is given the original and then its arguments.
    """

    name: str
    family: str
    owner: Any
    attribute: str
    broken: Callable[..., Any]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the function for the time of the block."""
        original = getattr(self.owner, self.attribute)

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            return self.broken(original, *args, **kwargs)

        with patch.object(self.owner, self.attribute, replacement):
            yield


def mutant(
    found: list[Mutant], family: str, owner: Any, attribute: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a mutant to a list; the name of the decorated function says what is wrong."""

    def add(broken: Callable[..., Any]) -> Callable[..., Any]:
        found.append(Mutant(broken.__name__.replace("_", " ").strip(), family, owner, attribute, broken))
        return broken

    return add


def programs_to_kill(mutant: Mutant, harness: Harness, profile: Profile, *, seed: int) -> int | None:
    """Return how many programs of its family it takes to find the mutant, None if it survives all of them.

    Only a wrong answer counts: a mutant that raises is broken in another way than it says.
    """
    modes = [Mode.SEPARATE] if mutant.family in {"results", "events"} else [Mode.SEPARATE, Mode.JOINED]
    number = profile.queue_programs if mutant.family == "queue" else profile.role_programs
    pools = [pool(mutant.family, mode, number, seed) for mode in modes]
    with mutant.applied():
        for place, program in enumerate(program for together in zip(*pools, strict=True) for program in together):
            try:
                execute(program, harness)
            except DivergenceError:
                return place + 1
    return None
