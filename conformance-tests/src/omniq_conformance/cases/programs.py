"""Family 01: random programs against the models, and each template by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from omniq_conformance.programs.events_machine import EVENTS_SOMETIMES
from omniq_conformance.programs.family import require, run_programs
from omniq_conformance.programs.pools import pool
from omniq_conformance.programs.program import Program
from omniq_conformance.programs.queue_generator import ALL_TEMPLATES
from omniq_conformance.programs.queue_watch import QUEUE_SOMETIMES, RELAY_SOMETIMES
from omniq_conformance.programs.results_machine import RESULTS_SOMETIMES
from omniq_conformance.programs.schedules_machine import FIRING_SOMETIMES, SCHEDULES_SOMETIMES
from omniq_conformance.registry import Trial, case, register
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

    from omniq_conformance.programs.queue_templates import Template

BOTH = (Mode.SEPARATE, Mode.JOINED)

_ENOUGH = 40
"""Fewer programs of a role see everything only by luck."""


@case("OQ-Q-0101", modes=BOTH)
def random_queue_programs(trial: Trial) -> None:
    """Whatever is done to a task queue, every answer and every stored record is that of the contract."""
    seen = _run(trial, pool("queue", trial.mode, trial.profile.queue_programs, trial.seed))
    _require(trial, seen, QUEUE_SOMETIMES | (RELAY_SOMETIMES if trial.mode is Mode.SEPARATE else frozenset()))


@case("OQ-R-0101")
def random_result_programs(trial: Trial) -> None:
    """The latest outcome of a task is kept, exactly for its time to live."""
    seen = _run(trial, pool("results", trial.mode, trial.profile.role_programs, trial.seed))
    _require(trial, seen, RESULTS_SOMETIMES)


@case("OQ-E-0101")
def random_event_programs(trial: Trial) -> None:
    """Events are kept once, in the order of their appending, and found by position and filter."""
    seen = _run(trial, pool("events", trial.mode, trial.profile.role_programs, trial.seed))
    _require(trial, seen, EVENTS_SOMETIMES)


@case("OQ-S-0101", modes=BOTH)
def random_schedule_programs(trial: Trial) -> None:
    """Every change of a schedule is a compare-and-set on its version; a joined queue fires in the same step."""
    seen = _run(trial, pool("schedules", trial.mode, trial.profile.role_programs, trial.seed))
    _require(trial, seen, SCHEDULES_SOMETIMES | (FIRING_SOMETIMES if trial.mode is Mode.JOINED else frozenset()))


def _run(trial: Trial, programs: Iterable[Program]) -> Counter[str]:
    return run_programs(_counted(trial, programs), trial.harness, minimizing=trial.profile.minimizes)


def _counted(trial: Trial, programs: Iterable[Program]) -> Iterator[Program]:
    for number, program in enumerate(programs):
        trial.evidence["programs"] = number + 1
        yield program


def _require(trial: Trial, seen: Counter[str], events: frozenset[str]) -> None:
    if trial.profile.role_programs >= _ENOUGH:
        require(seen, events)


def _template(template: Template, trial: Trial) -> None:
    program = Program("queue", trial.mode, tuple(template.build("t0", "t1", "a")))
    require(_run(trial, [program]), template.sees)


for _template_ in ALL_TEMPLATES:
    register(_template_.id, _template_.title, partial(_template, _template_), modes=BOTH)
