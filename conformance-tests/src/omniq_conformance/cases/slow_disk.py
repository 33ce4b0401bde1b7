"""Family 03: disks that are slow, so that whatever happens between two writes of a commit has time to go wrong."""

from __future__ import annotations

import asyncio

from omniq.storage.capabilities import Scope
from omniq_conformance.faults import strace
from omniq_conformance.faults.forkserver import ForkServer
from omniq_conformance.faults.points import WRITE_CALLS
from omniq_conformance.faults.walk import durable
from omniq_conformance.outcomes import DivergenceError, UnverifiedError, VacuousError
from omniq_conformance.registry import Trial, case

__all__: list[str] = []

_SLOW = "delay_exit=4000"
"""How much longer each write takes, in microseconds: the other threads see it done before the one that writes does."""


@case("OQ-X-0305")
async def slow_writes(trial: Trial) -> None:
    """Where every write takes long, nobody sleeps through what was written, not even in the middle of a commit."""
    capabilities = await durable(trial)
    if trial.harness.server_kind is not None or capabilities.scope is Scope.CLUSTER:
        msg = "A server writes the files, and its process is not traced."
        raise UnverifiedError(msg)
    strace.require()
    async with trial.space() as space:
        with ForkServer(trial.harness, strace.injecting(WRITE_CALLS, _SLOW, 1, on=True)) as server:
            lines = await asyncio.to_thread(server.run, space, "omniq_conformance.faults.slow:follow")
    trial.evidence["waited for"] = sum(line[0] == "woken" for line in lines)
    asleep = [f"{line[2]} slept through {line[1]}" for line in lines if line[0] == "asleep"]
    if asleep:
        raise DivergenceError(f"Of those who waited, {', '.join(asleep)}.")
    if not trial.evidence["waited for"]:
        raise VacuousError("The process waited for nothing.")
