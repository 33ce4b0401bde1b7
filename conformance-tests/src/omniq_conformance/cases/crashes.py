"""Family 03: processes that are killed at every point, and disks that fail and fill up."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from omniq.storage.capabilities import Scope
from omniq_conformance.faults import soak, strace
from omniq_conformance.faults.choosing import choose, within
from omniq_conformance.faults.forkserver import ForkServer, shared
from omniq_conformance.faults.ledger import Ledger
from omniq_conformance.faults.points import WRITE_CALLS, Point
from omniq_conformance.faults.walk import durable, package_calls, system_calls, walk, warm_up
from omniq_conformance.outcomes import DivergenceError, UnverifiedError, VacuousError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.storage.capabilities import Capabilities
    from omniq_conformance.faults.choosing import Made
    from omniq_conformance.faults.ledger import Line
    from omniq_conformance.faults.walk import Tally
    from omniq_conformance.space import Space

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_FAILURES = {
    "writing and syncing fail from then on": ("error=EIO", True),
    "a write or a sync fails once": ("error=EIO", False),
    "the disk is full from then on": ("error=ENOSPC", True),
}
_MOST = 0.8
_FEW = 4
_WORKERS = 2
_LIFE = 0.15
"""How long a worker lives at most, in seconds."""
_PATIENCE = 30.0
_SHOWN = 12


@case("OQ-X-0301", modes=BOTH)
async def killed_at_system_calls(trial: Trial) -> None:
    """A process may be killed before any system call that writes: what was acknowledged is there, nothing is torn."""
    survey = await system_calls(trial, await durable(trial))
    chosen = choose(survey.made, survey.under_way, trial.profile.crash_points, trial.seed)
    names, trigger = _names_and_trigger(survey.made)
    points = [Point(call.name, call.number, trigger) for call in chosen]
    with ForkServer(trial.harness, strace.injecting(names, "signal=SIGKILL", trigger)) as server:
        tally = await walk(trial, server, points)
    _require_kills(trial, tally, len(survey.made))


def _names_and_trigger(made: Sequence[Made]) -> tuple[list[str], int]:
    """Return the names of the calls, and a number that none of them reaches by itself, nor if something is repeated."""
    return sorted({call.name for call in made}), 2 * max(call.number for call in made)


@case("OQ-X-0302", modes=BOTH)
async def killed_at_calls(trial: Trial) -> None:
    """A process may be killed at any call inside of the backend: what was acknowledged is there, nothing is torn."""
    await durable(trial)
    server = shared(trial.harness)
    await warm_up(trial, server)
    package, survey = await package_calls(trial, server)
    limit = trial.profile.crash_points
    if strace.is_usable():
        limit = max(_FEW, limit // 6)  # these points are then the lesser part
    chosen = within(survey.made, survey.under_way, limit, trial.seed)
    tally = await walk(trial, server, [Point("call", call.number, package=package) for call in chosen])
    _require_kills(trial, tally, len(survey.made))


def _require_kills(trial: Trial, tally: Tally, total: int) -> None:
    trial.evidence.update(points=f"{tally.points} of {total}", killed=tally.killed, under_way=tally.torn)
    if tally.killed < tally.points * _MOST or not tally.torn:
        msg = f"Of {tally.points} processes {tally.killed} were killed, {tally.torn} of them in an operation."
        raise VacuousError(msg)


@case("OQ-X-0303")
async def failing_disks(trial: Trial) -> None:
    """Where a write or a sync fails, the operation fails with a StorageError that is true, and nothing else is lost."""
    capabilities = await durable(trial)
    _require_own_files(trial, capabilities)
    survey = await system_calls(trial, capabilities)
    made = [call for call in survey.made if call.name in WRITE_CALLS]
    names, trigger = _names_and_trigger(made)
    number = max(1, trial.profile.crash_points // (2 * len(_FAILURES)))
    # Starting strace costs more than a few points: where few are wanted, they are of one kind.
    kinds = list(_FAILURES.items())[: max(1, number)]
    for place, (name, (fault, on)) in enumerate(kinds):
        chosen = within(made, survey.under_way, number, trial.seed + place)
        points = [Point(call.name, call.number, trigger) for call in chosen]
        with ForkServer(trial.harness, strace.injecting(names, fault, trigger, on=on)) as server:
            tally = await walk(trial, server, points)
        trial.evidence[name] = {"points": f"{tally.points} of {len(made)}", "errors": tally.errors}
        assert on or not tally.gave_up, f"After one failure {tally.gave_up} handles could not be used any more."
        if on and not tally.errors:
            msg = f"{name.capitalize()}, and no operation ever noticed."
            raise VacuousError(msg)


@case("OQ-X-0304")
async def full_disks(trial: Trial) -> None:
    """On a full disk writing is refused with a StorageError and reading goes on; with room again, so does all else."""
    _require_own_files(trial, await durable(trial))
    async with trial.space() as space:
        lines = await asyncio.to_thread(shared(trial.harness).run, space, "omniq_conformance.faults.filling:fill")
        told = {what: [details for w, *details in lines if w == what] for what, *_ in lines}
        assert "untyped" not in told, told
        assert "end" in told, lines[-3:]
        kept = {name for (name,) in told["ok"]} - {"complete"}
        doubtful = {name for name, _ in told.get("unknown", [])}
        refused = told.get("refused", []) + told.get("unknown", [])
        trial.evidence.update(refused=refused, kept=len(kept))
        if not any(name.startswith("t") for name, _ in refused):
            msg = "No file that the backend writes in its process grew over the limit, so that nothing was refused."
            raise UnverifiedError(msg)
        assert {"before", "after"} <= kept, refused
        assert told["completed"][0] in (["ok"], ["already"]), told["completed"]
        queue = (await space.open()).task_queue
        _require_all({record.id for record in await queue.list(limit=1000)}, kept, doubtful, "after reopening")
        while_full, afterwards = told["readable"]
        _require_all(set(while_full[0]), kept - {"after"}, doubtful, "on the full disk")
        _require_all(set(afterwards[0]), kept, doubtful, "with room again")
        grants = await queue.claim(("a",), 1000, "worker", 1000, f"{2:016x}")
        assert {grant.id for grant in grants} >= kept - {"before"}


def _require_all(found: set[str], kept: set[str], doubtful: set[str], when: str) -> None:
    lost, strange = kept - found, found - kept - doubtful
    assert not lost, f"{when}, acknowledged tasks are not there: {sorted(lost)}"
    assert not strange, f"{when}, tasks are there that were refused: {sorted(strange)}"


@case("OQ-Q-0310")
async def killed_at_random(trial: Trial) -> None:
    """However many workers are killed at any moment, no task is lost, and none runs again but after its lease."""
    await durable(trial)
    kills = trial.profile.kills
    async with trial.space() as space:
        with ExitStack() as stack:
            servers = [stack.enter_context(ForkServer(trial.harness)) for _ in range(_WORKERS)]
            shares = [range(place, kills, _WORKERS) for place in range(_WORKERS)]
            told = await asyncio.gather(
                *(_kill_often(trial, space, server, share) for server, share in zip(servers, shares, strict=True))
            )
            lines = [line for lines in told for line in lines]
            stores = await space.open()
            with tempfile.TemporaryDirectory() as folder:
                ledger = Ledger(Path(folder) / "ledger", size=1 << 26)
                await soak.drain(stores, ledger, _PATIENCE)
                lines += ledger.lines()
                ledger.close()
        faults, counts = await soak.verdict(stores, lines)
    trial.evidence.update(kills=kills, **counts)
    if faults:
        raise DivergenceError(f"{len(faults)} faults after {kills} kills:\n" + "\n".join(faults[:_SHOWN]))
    if not counts["acknowledged"]:
        raise VacuousError("Every worker was killed before it had enqueued anything.")


async def _kill_often(trial: Trial, space: Space, server: ForkServer, numbers: range) -> list[Line]:
    """Let one worker after the other live for a random time."""
    rng = Random(f"{trial.seed} {numbers.start}")  # noqa: S311 - reproducible moments, not secrets
    lines: list[Line] = []
    for number in numbers:
        job = server.start(space, "omniq_conformance.faults.soak:work", {"name": f"w{number}"})
        await asyncio.to_thread(job.until, "enqueue")
        (_, pid) = job.until("pid")
        await asyncio.sleep(rng.uniform(0.0, _LIFE))
        os.kill(pid, signal.SIGKILL)
        lines += await asyncio.to_thread(job.wait)
    return lines


def _require_own_files(trial: Trial, capabilities: Capabilities) -> None:
    """Refuse to go on where another process writes the files.

    Raises:
        UnverifiedError: It is a server.
    """
    if trial.harness.server_kind is not None or capabilities.scope is Scope.CLUSTER:
        msg = "The store is written by a server, whose disk cannot be made to fail from here."
        raise UnverifiedError(msg)
