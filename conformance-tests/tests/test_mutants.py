from __future__ import annotations

import pytest

from omniq_conformance.mutants.memory import MEMORY_MUTANTS
from omniq_conformance.mutants.mutant import programs_to_kill
from omniq_conformance.profiles import PROFILES


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.name) for each in MEMORY_MUTANTS])
def test_every_mutant_is_killed_with_every_seed(mutant, harness):
    needed = [programs_to_kill(mutant, harness, PROFILES["pr"], seed=seed) for seed in range(3)]
    assert None not in needed, f"programs until the kill, by seed: {needed}"


def test_mutants_have_names_of_their_own():
    names = [mutant.name for mutant in MEMORY_MUTANTS]
    assert len(set(names)) == len(names)


def test_a_mutant_is_gone_after_the_block():
    for mutant in MEMORY_MUTANTS:
        original = getattr(mutant.owner, mutant.attribute)
        with mutant.applied():
            assert getattr(mutant.owner, mutant.attribute) is not original
        assert getattr(mutant.owner, mutant.attribute) is original
