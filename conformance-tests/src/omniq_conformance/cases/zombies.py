"""Family 03: workers that are stopped past their lease and then go on as if nothing had happened."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.models.record import Completion
from omniq.models.status import TaskStatus
from omniq_conformance.cases.sharing import require_processes
from omniq_conformance.cases.specimens import spec
from omniq_conformance.faults.choosing import spread
from omniq_conformance.faults.forkserver import shared
from omniq_conformance.faults.pausing import QUEUE
from omniq_conformance.faults.walk import package_folder
from omniq_conformance.outcomes import DivergenceError, VacuousError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omniq.models.record import Grant
    from omniq_conformance.faults.forkserver import ForkServer, Job
    from omniq_conformance.faults.ledger import Line
    from omniq_conformance.space import Stores

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_RUNS = "omniq_conformance.faults.pausing"
_LEASE, _LONG = 100, 60_000
_HELD_UP = 0.25
"""How long one who waits for a stopped process is let wait before it goes on, in seconds."""


@case("OQ-Q-0330", modes=BOTH)
async def late_settlings(trial: Trial) -> None:
    """A worker that was stopped past its lease changes nothing any more, whatever it does when it goes on."""
    await require_processes(trial.space(), Role.TASK_QUEUE)
    async with trial.space() as space:
        stores = await space.open()
        await stores.task_queue.enqueue([spec(f"t{number}") for number in range(4)])
        job = shared(trial.harness).start(space, f"{_RUNS}:settle_late", {"lease_ms": _LEASE})
        with _stopped(job):
            grants = await _claim_all(stores, 4)
            done, kept = grants[:2], grants[2:]
            await stores.task_queue.complete([Completion(grant.id, grant.token) for grant in done])
            before = await stores.task_queue.list()
        lines = await asyncio.to_thread(job.wait)
        told = [line for line in lines if line[0] in {"beat", "completed", "failed", "retried"}]
        trial.evidence["told"] = told
        wrong = [line for line in told if set(line[1:]) != {"lost"}]
        assert len(told) == 5 and not wrong, f"A stopped worker was told {wrong or told} after it had lost its tasks."  # noqa: PLR2004, PT018 - its five calls
        assert await stores.task_queue.list() == before
        replies = await stores.task_queue.complete([Completion(grant.id, grant.token) for grant in kept])
        assert replies == ["ok", "ok"]


@case("OQ-Q-0331")
async def stopped_while_settling(trial: Trial) -> None:
    """A worker that is stopped in the middle of completing a task either completes it, or has lost it to another."""
    await require_processes(trial.space(), Role.TASK_QUEUE)
    server = shared(trial.harness)
    package = await package_folder(trial)
    total = next(line[1] for line in (await _stop_at(trial, server, package, 0))[0] if line[0] == "took")
    numbers = [number for _, number in spread({"call": total}, max(1, trial.profile.crash_points // 8), trial.seed)]
    seen: list[str] = []
    for number in numbers:
        lines, grants = await _stop_at(trial, server, package, number)
        seen.append(_verdict(lines, grants, number))
    trial.evidence.update(points=f"{len(numbers)} of {total}", completed=seen.count("ok"), lost=seen.count("lost"))
    if not seen:
        msg = "Completing a task makes no call inside of the backend's package."
        raise VacuousError(msg)


def _verdict(lines: list[Line], grants: list[Grant], number: int) -> str:
    """Return what the worker was told, which has to fit to whether another got its task."""
    told: str = next((line[1] for line in lines if line[0] == "completed"), "nothing")
    if told != ("lost" if grants else "ok"):
        who = "though another got its task" if grants else "though nobody else got its task"
        msg = f"A worker that was stopped at call {number} of complete() was told {told!r}, {who}."
        raise DivergenceError(msg)
    return told


async def _stop_at(trial: Trial, server: ForkServer, package: str, number: int) -> tuple[list[Line], list[Grant]]:
    """Stop a worker at a call while it completes, let another claim, and wake the worker."""
    arguments = {"lease_ms": _LEASE if number else _LONG, "package": package, "number": number}
    async with trial.space() as space:
        stores = await space.open()
        await stores.task_queue.enqueue([spec("t")])
        job = server.start(space, f"{_RUNS}:stop_while_settling", arguments, tell_modules=not number)
        if not number:
            return await asyncio.to_thread(job.wait), []
        with _stopped(job):
            claiming = asyncio.create_task(_claim_all(stores, 1))
            await asyncio.wait([claiming], timeout=_HELD_UP)  # it waits if the stopped one holds the store
        lines = await asyncio.to_thread(job.wait)
        grants = await claiming
        (record,) = await stores.task_queue.get(["t"])
        if record is None or (record.state is TaskStatus.RUNNING) != bool(grants):
            msg = f"After a worker was stopped at call {number} of complete(), the task is {record!r}."
            raise DivergenceError(msg)
        return lines, grants


async def _claim_all(stores: Stores, number: int) -> list[Grant]:
    """Claim tasks as their leases run out, for some time."""
    grants: list[Grant] = []
    deadline = time.monotonic() + _LEASE / 1000 + _HELD_UP
    while len(grants) < number and time.monotonic() < deadline:
        grants += await stores.task_queue.claim((QUEUE,), number, "other", _LONG, f"{2 + len(grants):016x}")
        await asyncio.sleep(0.01)
    return grants


@contextmanager
def _stopped(job: Job) -> Iterator[None]:
    """Wait until the worker of a job has stopped itself, and wake it after the block."""
    job.until("granted")
    pid = job.until("pid")[1]
    try:
        _wait_until_stopped(pid)
        yield
    finally:
        with suppress(ProcessLookupError):  # it did not come to its point, and has ended
            os.kill(pid, signal.SIGCONT)


def _wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + _HELD_UP
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123 - Linux's own file
                if stat.read().rpartition(")")[2].split()[0] == "T":
                    return
        except OSError:
            pass  # not Linux: all that is known is that it is about to stop
        time.sleep(0.002)
