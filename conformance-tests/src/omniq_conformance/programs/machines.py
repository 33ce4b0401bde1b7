"""Which machine runs which family of programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq_conformance.programs.events_machine import EventsMachine
from omniq_conformance.programs.queue_events_machine import QueueEventsMachine
from omniq_conformance.programs.queue_machine import QueueMachine
from omniq_conformance.programs.queue_results_machine import QueueResultsMachine
from omniq_conformance.programs.results_machine import ResultsMachine
from omniq_conformance.programs.schedule_queue_machine import ScheduleQueueMachine
from omniq_conformance.programs.schedules_machine import SchedulesMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from omniq_conformance.programs.calls import Machine
    from omniq_conformance.programs.program import Program

__all__ = ["MACHINES", "ROLES", "machine_for"]

MACHINES: Mapping[str, Callable[[str], Machine]] = {
    "queue": QueueMachine,
    "results": ResultsMachine,
    "events": EventsMachine,
    "schedules": SchedulesMachine,
    "queue-results": QueueResultsMachine,
    "queue-events": QueueEventsMachine,
    "schedule-queue": ScheduleQueueMachine,
}

ROLES: Mapping[str, Sequence[Role]] = {
    "queue": (Role.TASK_QUEUE,),
    "results": (Role.RESULT_STORAGE,),
    "events": (Role.EVENT_STORAGE,),
    "schedules": (Role.SCHEDULE_STORAGE,),
    "queue-results": (Role.TASK_QUEUE, Role.RESULT_STORAGE),
    "queue-events": (Role.TASK_QUEUE, Role.EVENT_STORAGE),
    "schedule-queue": (Role.SCHEDULE_STORAGE, Role.TASK_QUEUE),
}
"""The roles that each family is about; a backend that offers none of them does not run it."""


def machine_for(program: Program) -> Machine:
    """Return a new machine for the program.

    Raises:
        ValueError: No family has this name.
    """
    if program.family not in MACHINES:
        msg = f"{program.family!r} is no family of programs. Known: {', '.join(sorted(MACHINES))}."
        raise ValueError(msg)
    return MACHINES[program.family](program.mode)
