"""Family 04: acknowledged writes are as durable as the backend declares."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from omniq.storage.capabilities import Durability, Scope
from omniq_conformance.faults import strace
from omniq_conformance.faults.aftermath import examine
from omniq_conformance.faults.forkserver import ForkServer, shared
from omniq_conformance.faults.fsyncs import TRACED, syncs, writes
from omniq_conformance.faults.walk import durable
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
    strace.require()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls"
        async with trial.space() as space:
            with ForkServer(trial.harness, strace.tracing(TRACED, log)) as server:
                lines = await asyncio.to_thread(server.run, space, f"{_RUNS}:performed")
            await space.open()  # so that there is something to destroy
        made = syncs(log.read_text(errors="replace"))
    acknowledged = await writes(trial.mode, lines)
    unsynced = [write.name for write in acknowledged if not write.is_synced(made)]
    trial.evidence.update(declared=capabilities.durability.value, writes=len(acknowledged), unsynced=len(unsynced))
    told = f"{len(unsynced)} of {len(acknowledged)} acknowledged writes had not been synced"
    if capabilities.durability is Durability.PROCESS_CRASH:
        msg = f"It declares durability process_crash, which promises no sync: {told}."
        raise UnsupportedError(msg)
    if unsynced:
        msg = f"It declares durability {capabilities.durability}, but {told}: {', '.join(unsynced[:_SHOWN])}."
        raise DivergenceError(msg)
