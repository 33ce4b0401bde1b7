"""The random programs of each family, as every run of the suite draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq_conformance.programs.events_machine import events_programs
from omniq_conformance.programs.family import drawn
from omniq_conformance.programs.pair_templates import ended
from omniq_conformance.programs.program import Program, op
from omniq_conformance.programs.queue_dump import QUEUES
from omniq_conformance.programs.queue_events_machine import queue_events_programs
from omniq_conformance.programs.queue_generator import ALL_TEMPLATES, queue_programs
from omniq_conformance.programs.queue_results_machine import queue_results_programs
from omniq_conformance.programs.results_machine import results_programs
from omniq_conformance.programs.schedule_queue_machine import schedule_queue_programs
from omniq_conformance.programs.schedules_machine import schedules_programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq_conformance.space import Mode

__all__ = ["STRATEGIES", "pool"]

STRATEGIES = {
    "queue": queue_programs,
    "results": results_programs,
    "events": events_programs,
    "schedules": schedules_programs,
    "queue-results": queue_results_programs,
    "queue-events": queue_events_programs,
    "schedule-queue": schedule_queue_programs,
}
"""Makes the strategy of the programs of each family, for a mode."""
_ROLES = frozenset({"results", "events", "schedules"})
"""Families without templates."""


def pool(family: str, mode: Mode, number: int, seed: int) -> Sequence[Program]:
    """Return so many programs of a family; the same ones for the same seed.

    Each program of the queue and of pairs ends with a template, one after the other, so that every edge of the life
    cycle is also taken in a store where much has happened before.
    """
    programs = drawn(STRATEGIES[family], mode.value, number, seed)
    if family in _ROLES:
        return programs
    end = _ended if family == "queue" else ended
    return [end(program, place + seed) for place, program in enumerate(programs)]


def _ended(program: Program, number: int) -> Program:
    queue = QUEUES[number % 2]
    template = ALL_TEMPLATES[number % len(ALL_TEMPLATES)]
    ops = (op("handle", number=0), op("resume", queues=[queue]), *template.build("y0", "y1", queue))
    return attrs.evolve(program, ops=program.ops + ops)
