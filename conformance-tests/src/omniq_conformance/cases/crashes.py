"""Family 03: processes that are killed at every point, and disks that fail and fill up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq_conformance.faults import strace
from omniq_conformance.faults.forkserver import ForkServer
from omniq_conformance.faults.points import Point
from omniq_conformance.faults.walk import durable, package_calls, spread, system_calls, walk
from omniq_conformance.outcomes import VacuousError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:

    from omniq_conformance.faults.walk import Tally

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)


@case("OQ-X-0301", modes=BOTH)
async def killed_at_system_calls(trial: Trial) -> None:
    """A process may be killed before any system call that writes: what was acknowledged is there, nothing is torn."""
    counts = await system_calls(trial, await durable(trial))
    trigger = max(counts.values()) + 1
    points = [Point(name, number, trigger) for name, number in spread(counts, trial.profile.crash_points, trial.seed)]
    with ForkServer(trial.harness, strace.injecting(list(counts), "signal=SIGKILL", trigger)) as server:
        tally = await walk(trial, server, points)
    _require_kills(trial, tally, sum(counts.values()))


@case("OQ-X-0302", modes=BOTH)
async def killed_at_calls(trial: Trial) -> None:
    """A process may be killed at any call inside of the backend: what was acknowledged is there, nothing is torn."""
    await durable(trial)
    with ForkServer(trial.harness) as server:
        package, total = await package_calls(trial, server)
        numbers = [number for _, number in spread({"call": total}, trial.profile.crash_points // 2, trial.seed)]
        tally = await walk(trial, server, [Point("call", number, package=package) for number in numbers])
    _require_kills(trial, tally, total)


def _require_kills(trial: Trial, tally: Tally, total: int) -> None:
    trial.evidence.update(points=f"{tally.points} of {total}", killed=tally.killed, under_way=tally.torn)
    if tally.killed < tally.points * 0.8 or not tally.torn:
        msg = f"Of {tally.points} processes {tally.killed} were killed, {tally.torn} of them in an operation."
        raise VacuousError(msg)
