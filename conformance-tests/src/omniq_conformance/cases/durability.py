"""Family 04: acknowledged writes are as durable as the backend declares."""

from __future__ import annotations

import asyncio

from omniq.storage.capabilities import Durability, Scope
from omniq_conformance.faults.aftermath import examine
from omniq_conformance.faults.forkserver import shared
from omniq_conformance.faults.fsyncs import syncs, writes
from omniq_conformance.faults.walk import durable, system_calls
from omniq_conformance.outcomes import DivergenceError, UnsupportedError, UnverifiedError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_RUNS = "omniq_conformance.faults.runs"
_SHOWN = 5


@case("OQ-X-0401", modes=BOTH)
async def nothing_is_lost_with_the_process(trial: Trial) -> None:
    """What was acknowledged is there after the process was killed with everything open."""
    await durable(trial)
    async with trial.space() as space:
        lines = await asyncio.to_thread(shared(trial.harness).run, space, f"{_RUNS}:performed_and_killed")
        found = await examine(space, lines)
    trial.evidence["acknowledged"] = len(found.story.done)
    assert not found.story.is_over
    if found.faults:
        raise DivergenceError("\n".join(found.faults[:_SHOWN]))


@case("OQ-X-0402", modes=BOTH)
async def synced_before_acknowledged(trial: Trial) -> None:
    """Where crashes of the system are declared to be survived, a write is on the disk before it is acknowledged."""
    capabilities = await durable(trial)
    if trial.harness.server_kind is not None or capabilities.scope is Scope.CLUSTER:
        msg = "A server writes the files, and its process is not traced; what it declares is its configuration."
        raise UnverifiedError(msg)
    survey = await system_calls(trial, capabilities)
    made = syncs(survey.log)
    async with trial.space() as space:
        absent = (await space.open()).absent
    acknowledged = await writes(trial.mode, survey.lines, absent)
    unsynced = [write.name for write in acknowledged if not write.is_synced(made)]
    trial.evidence.update(declared=capabilities.durability.value, writes=len(acknowledged), unsynced=len(unsynced))
    told = f"{len(unsynced)} of {len(acknowledged)} acknowledged writes had not been synced"
    if capabilities.durability is Durability.PROCESS_CRASH:
        msg = f"It declares durability process_crash, which promises no sync: {told}."
        raise UnsupportedError(msg)
    if unsynced:
        msg = f"It declares durability {capabilities.durability}, but {told}: {', '.join(unsynced[:_SHOWN])}."
        raise DivergenceError(msg)
