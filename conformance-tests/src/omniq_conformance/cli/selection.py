"""Which items a pattern means."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from omniq_conformance.families import FAMILIES
from omniq_conformance.registry import all_cases, items

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq_conformance.registry import Case, Item

__all__ = ["case_of", "close_to", "selected"]

_FAMILY_NAMES = [family.name for family in FAMILIES.values()]


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
                f"--only {pattern!r} means no item.{close_to(pattern, [item.id for item in every])} "
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
        raise click.UsageError(f"There is no case {id!r}.{close_to(id, list(cases))} See `omniq-conformance list`.")
    return cases[wanted]


def close_to(name: str, known: Sequence[str]) -> str:
    """Return the question whether something similar was meant; nothing if there is nothing similar."""
    names = {each.casefold(): each for each in [*known, *_FAMILY_NAMES]}
    close = get_close_matches(name.casefold(), names, 1)
    return f" Did you mean {names[close[0]]!r}?" if close else ""


def _means(pattern: str, item: Item) -> bool:
    return any(fnmatchcase(name, pattern) for name in (item.id, item.case.id, item.case.family.name))
