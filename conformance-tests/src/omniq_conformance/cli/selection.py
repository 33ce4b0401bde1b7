"""Which items a pattern means."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import TYPE_CHECKING

import click

from omniq_conformance.families import FAMILIES
from omniq_conformance.registry import all_cases, items

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq_conformance.registry import Case, Item

__all__ = ["case_of", "selected"]

_FAMILY_NAMES = [family.name for family in FAMILIES.values()]
_PROPOSED = 3


def selected(patterns: Sequence[str]) -> Callable[[Item], bool] | None:
    """Return what tells whether an item is meant by one of the patterns; None if there are none, for all.

    A pattern is the id of a case or an item, or the name of a family; `*`, `?` and `[...]` stand for characters of it.

    Raises:
        UsageError: A pattern means nothing.
    """
    if not patterns:
        return None
    every = list(items())
    for pattern in patterns:
        if not any(_means(pattern, item) for item in every):
            raise click.UsageError(
                f"--only {pattern!r} means no item.{_meant([*_near(pattern), *_families_like(pattern)])} "
                f"Families are {', '.join(_FAMILY_NAMES)}; `omniq-conformance list` shows the cases."
            )
    return lambda item: any(_means(pattern, item) for pattern in patterns)


def case_of(id: str) -> Case:
    """Return the case that an id of a case or of an item means.

    Raises:
        UsageError: There is none.
    """
    cases = {case.id: case for case in all_cases()}
    wanted = id.upper() if id.upper() in cases else next((item.case.id for item in items() if item.id == id), id)
    if wanted not in cases:
        raise click.UsageError(f"There is no case {id!r}.{_meant(_near(id))} See `omniq-conformance list`.")
    return cases[wanted]


def _meant(close: Sequence[str]) -> str:
    """Return the question whether one of them was meant; nothing if there is none."""
    return f" Did you mean {' or '.join(map(repr, close[:_PROPOSED]))}?" if close else ""


def _near(id: str) -> list[str]:
    """Return the ids of cases of which one slip makes this one, best first; a mode after it does not count."""
    short = "-".join(id.upper().split("-")[:3])
    ids = [case.id for case in all_cases() if case.id[:4] == short[:4]]
    found = [short] if short in ids else [each for each in ids if _is_slip(each, short)]
    return sorted(found, key=lambda each: -_shared(each, short))


def _is_slip(meant: str, typed: str) -> bool:
    """Tell whether a character is missing, too many or another one, or two are swapped."""
    for _ in range(2):  # from the front, then from the back
        start = _shared(meant, typed)
        meant, typed = meant[start:][::-1], typed[start:][::-1]
    return max(len(meant), len(typed)) <= 1 or (len(meant) == 2 and meant == typed[::-1])  # noqa: PLR2004 - a pair


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts begin with together."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _families_like(name: str) -> list[str]:
    return get_close_matches(name.casefold(), _FAMILY_NAMES, 1)


def _means(pattern: str, item: Item) -> bool:
    return any(fnmatchcase(name, pattern) for name in (item.id, item.case.id, item.case.family.name))
