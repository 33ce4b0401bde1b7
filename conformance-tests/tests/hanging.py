"""Mutants that never end, as the processes of the matrix find them."""

from __future__ import annotations

import os
from unittest.mock import patch

from omniq_conformance.mutants.harness import MutantHarness
from omniq_conformance.mutants.killing import attempt
from omniq_conformance.mutants.mutant import Mutant
from omniq_memory.task_table import TaskTable


def endless(*_, **__):
    while True:
        pass


HANGING = Mutant(
    name="hanging",
    backend="memory",
    cases=("OQ-Q-0601",),
    owner=TaskTable,
    attribute="claim",
    change=lambda _: endless,
)


def attempt_hanging(backend, name, profile, seed):
    """Take the one that hangs for whatever was named."""
    with patch.object(MutantHarness, "_mutant", property(lambda _: HANGING)):
        return attempt(HANGING, profile=profile, seed=seed)


def does_as_told(what):
    """Be the function of a worker."""
    if what == "end":
        os._exit(3)
    if what == "raise":
        raise ValueError("told to")
    while what == "hang":
        pass
    return os.getpid()
