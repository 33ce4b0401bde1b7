"""All mutants."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omniq_conformance.mutants.mutant import Mutant

__all__ = ["BACKENDS", "find_mutant", "mutants_of"]

_MODULES: Mapping[str, Sequence[str]] = {
    "memory": ("memory_settling", "memory_life", "memory_roles", "memory_values", "memory_waking", "memory_held_out"),
    "sqlite": (
        "sqlite_settling",
        "sqlite_claiming",
        "sqlite_life",
        "sqlite_outbox",
        "sqlite_roles",
        "sqlite_values",
        "sqlite_lifetime",
        "sqlite_waking",
        "sqlite_held_out",
    ),
}
BACKENDS = tuple(_MODULES)
"""The backends that there are mutants of."""


def mutants_of(backend: str) -> Sequence[Mutant]:
    """Return the mutants of a backend, which has to be installed.

    Raises:
        ValueError: There are none.
    """
    if backend not in _MODULES:
        msg = f"There are no mutants of {backend!r}, only of: {', '.join(BACKENDS)}."
        raise ValueError(msg)
    modules = (import_module(f"omniq_conformance.mutants.{name}") for name in _MODULES[backend])
    return [mutant for module in modules for mutant in module.MUTANTS.found]


def find_mutant(backend: str, name: str) -> Mutant:
    """Return one mutant.

    Raises:
        ValueError: There is none of this name.
    """
    for mutant in mutants_of(backend):
        if mutant.name == name:
            return mutant
    msg = f"No mutant of {backend!r} is called {name!r}; `omniq-conformance mutants` names them."
    raise ValueError(msg)
