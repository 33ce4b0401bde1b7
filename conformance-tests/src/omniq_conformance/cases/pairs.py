"""Family 01: programs of roles that work together, with everything that can come between their steps.

On a backend that offers some of the roles only, the memory backend keeps the others.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from omniq_conformance.mixed import completed
from omniq_conformance.programs.family import require, run_programs
from omniq_conformance.programs.machines import ROLES
from omniq_conformance.programs.pair_templates import PAIR_TEMPLATES
from omniq_conformance.programs.pools import pool
from omniq_conformance.programs.queue_events_machine import QUEUE_EVENTS_SOMETIMES, RELAYED_EVENTS_SOMETIMES
from omniq_conformance.programs.queue_results_machine import QUEUE_RESULTS_SOMETIMES, RELAYED_RESULTS_SOMETIMES
from omniq_conformance.programs.schedule_queue_machine import FIRED_APART_SOMETIMES, SCHEDULE_QUEUE_SOMETIMES
from omniq_conformance.registry import Trial, case, register
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from omniq_conformance.programs.pair_templates import PairTemplate
    from omniq_conformance.programs.program import Program

__all__ = ["programs_of"]

BOTH = (Mode.SEPARATE, Mode.JOINED)
_ENOUGH = 13
"""So many programs end with every template once; fewer see everything only by luck."""


def programs_of(trial: Trial, family: str, sees: frozenset[str]) -> None:
    """Run the random programs of a pair of roles, which must have seen all of this."""
    number = trial.profile.role_programs // 3
    seen = run(trial, pool(family, trial.mode, number, trial.seed))
    if number >= _ENOUGH:
        require(seen, sees)


def run(trial: Trial, programs: Iterable[Program]) -> Counter[str]:
    """Run programs on the backend, with memory for the roles that it does not offer."""
    chosen = list(programs)
    harness = completed(trial.harness, ROLES[chosen[0].family])
    seen = run_programs(chosen, harness, minimizing=trial.profile.minimizes)
    trial.evidence.update(backends=harness.backend, seen=dict(sorted(seen.items())))
    return seen


@case("OQ-X-0110", modes=BOTH)
def queue_and_results(trial: Trial) -> None:
    """Whatever dies or comes late between a queue and its results, every end has its outcome, and no other run's."""
    separate = RELAYED_RESULTS_SOMETIMES if trial.mode is Mode.SEPARATE else frozenset()
    programs_of(trial, "queue-results", QUEUE_RESULTS_SOMETIMES | separate)


@case("OQ-X-0111", modes=BOTH)
def queue_and_events(trial: Trial) -> None:
    """Whatever dies or comes late between a queue and its events, they are every task's life, once and in order."""
    separate = RELAYED_EVENTS_SOMETIMES if trial.mode is Mode.SEPARATE else frozenset()
    programs_of(trial, "queue-events", QUEUE_EVENTS_SOMETIMES | separate)


@case("OQ-X-0112", modes=BOTH)
def schedules_and_queue(trial: Trial) -> None:
    """Whatever schedulers do at once and wherever they die, every fire time that they passed has made one task."""
    separate = FIRED_APART_SOMETIMES if trial.mode is Mode.SEPARATE else frozenset()
    programs_of(trial, "schedule-queue", SCHEDULE_QUEUE_SOMETIMES | separate)


def _template(template: PairTemplate, trial: Trial) -> None:
    require(run(trial, [template.program(trial.mode)]), template.sees)


for _template_ in PAIR_TEMPLATES.values():
    register(_template_.id, _template_.title, partial(_template, _template_), modes=_template_.modes)
