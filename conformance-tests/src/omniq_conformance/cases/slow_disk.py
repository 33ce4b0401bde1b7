"""Family 03: disks that are slow, so that whatever happens between two writes of a commit has time to go wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from omniq.storage.capabilities import Scope
from omniq_conformance.faults import strace
from omniq_conformance.faults.forkserver import ForkServer
from omniq_conformance.faults.points import WRITE_CALLS
from omniq_conformance.faults.walk import durable
from omniq_conformance.outcomes import DivergenceError, UnverifiedError, VacuousError
from omniq_conformance.registry import Trial, case

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__: list[str] = []

_RUNS = "omniq_conformance.faults.slow"
_HANDLES = 8
_APART = (0.001, 0.002, 0.004)
"""Seconds between the beginnings of the openings, so that one looks while another is in the middle of making it."""


@case("OQ-X-0305")
async def slow_writes(trial: Trial) -> None:
    """Where every write takes long, nobody sleeps through what was written, not even in the middle of a commit."""
    with await _slowed(trial, WRITE_CALLS, 4000) as server:
        async with trial.space() as space:
            lines = await asyncio.to_thread(server.run, space, f"{_RUNS}:follow")
    trial.evidence["waited for"] = sum(line[0] == "woken" for line in lines)
    asleep = [f"{line[2]} slept through {line[1]}" for line in lines if line[0] == "asleep"]
    if asleep:
        raise DivergenceError(f"Of those who waited, {', '.join(asleep)}.")
    if not trial.evidence["waited for"]:
        raise VacuousError("The process waited for nothing.")


@case("OQ-X-0306")
async def slow_openings(trial: Trial) -> None:
    """Where every read takes long, several may open a new namespace at once."""
    with await _slowed(trial, ("pread64",), 3000) as server:
        for number, apart in enumerate(_APART, 1):
            order = {"handles": _HANDLES, "apart": apart}
            async with trial.space() as space:
                lines = await asyncio.to_thread(server.run, space, f"{_RUNS}:open_at_once", order)
            trial.evidence["openings"] = number * _HANDLES
            refused = [line[1] for line in lines if line[0] == "refused"]
            if refused:
                raise DivergenceError(f"Opening a new namespace {_HANDLES} times at once failed: {'; '.join(refused)}")


@case("OQ-Q-0307")
async def slow_claims(trial: Trial) -> None:
    """Where every write takes long, whoever gave up a claim is told by `held` what it was granted."""
    with await _slowed(trial, WRITE_CALLS, 4000) as server:
        async with trial.space() as space:
            lines = await asyncio.to_thread(server.run, space, f"{_RUNS}:give_up")
    ends = Counter(line[0] for line in lines)
    trial.evidence.update(held=ends["held"], untouched=ends["untouched"])
    lost = [f"{line[1]} ms" for line in lines if line[0] == "lost"]
    if lost:
        raise DivergenceError(f"Nothing was held after claims given up after {', '.join(lost)}, and then they counted.")
    if not ends["held"]:
        raise VacuousError("No claim that was given up had been made.")


async def _slowed(trial: Trial, calls: Sequence[str], longer: int) -> ForkServer:
    """Return the process in which system calls take longer by so many microseconds, which its other threads can use.

    Raises:
        UnsupportedError: Nothing is kept, so there is no disk.
        UnverifiedError: The process cannot be traced here, or is a server's.
    """
    capabilities = await durable(trial)
    if trial.harness.server_kind is not None or capabilities.scope is Scope.CLUSTER:
        raise UnverifiedError("A server writes the files, and its process is not traced.")
    strace.require()
    return ForkServer(trial.harness, strace.injecting(calls, f"delay_exit={longer}", 1, on=True))
