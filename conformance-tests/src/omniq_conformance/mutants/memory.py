"""All mutants of the memory backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq_conformance.mutants.memory_life import LIFE_MUTANTS
from omniq_conformance.mutants.memory_roles import ROLE_MUTANTS
from omniq_conformance.mutants.memory_settling import SETTLING_MUTANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq_conformance.mutants.mutant import Mutant

__all__ = ["MEMORY_MUTANTS"]

MEMORY_MUTANTS: Sequence[Mutant] = (*SETTLING_MUTANTS, *LIFE_MUTANTS, *ROLE_MUTANTS)
