"""Hits one process after the other, each at another point, and examines what it leaves."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import attrs

from omniq.models.config import Role
from omniq.storage.capabilities import Durability, Scope
from omniq_conformance.faults import strace
from omniq_conformance.faults.aftermath import examine
from omniq_conformance.faults.choosing import Made, Window, windows
from omniq_conformance.faults.forkserver import ForkServer, shared
from omniq_conformance.faults.fsyncs import TRACED
from omniq_conformance.faults.ledger import Line
from omniq_conformance.faults.points import FILE_CALLS, SOCKET_CALLS, Point
from omniq_conformance.faults.reaching import without
from omniq_conformance.faults.scenario import scenario
from omniq_conformance.faults.world import look
from omniq_conformance.outcomes import DivergenceError, UnsupportedError, UnverifiedError, VacuousError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.storage.capabilities import Capabilities
    from omniq_conformance.faults.aftermath import Aftermath
    from omniq_conformance.harness import Harness
    from omniq_conformance.registry import Trial
    from omniq_conformance.space import Mode, Space

__all__ = ["Survey", "Tally", "durable", "package_calls", "package_folder", "system_calls", "walk", "warm_up"]

_PERFORMED = "omniq_conformance.faults.runs:performed"
_SHOWN = 8
_left: WeakKeyDictionary[Harness, int] = WeakKeyDictionary()
_surveys: WeakKeyDictionary[Harness, dict[Mode, Survey]] = WeakKeyDictionary()


async def durable(trial: Trial) -> Capabilities:
    """Return what a backend offers that keeps what it acknowledged.

    Raises:
        UnsupportedError: It declares that a role of it does not; what another process had written was looked for.
        UnverifiedError: The backend does not take `now=`, or nobody knows why a role is not there.
        DivergenceError: It does not refuse a role that it does not offer.
    """
    async with trial.space() as space:
        stores = await space.open()
        capabilities = stores.task_queue.capabilities
        volatile = [
            role
            for role in Role
            if (kept := stores.opened.role(role)) and kept.capabilities.durability is Durability.NONE
        ]
    without(trial, stores)
    if volatile:
        left = await _left_behind(trial)
        roles = ", ".join(volatile)
        msg = f"It declares durability none for {roles}: of what another process had written, {left} records were left."
        raise UnsupportedError(msg)
    if not capabilities.injectable_time:
        msg = "The scenario has a clock of its own, and the backend does not take `now=` (injectable_time)."
        raise UnverifiedError(msg)
    return capabilities


async def _left_behind(trial: Trial) -> int:
    known = _left.get(trial.harness)
    if known is None:
        async with trial.space(joined=False) as space:
            await asyncio.to_thread(shared(trial.harness).run, space, _PERFORMED)
            known = _left[trial.harness] = len(await look(await space.open()))
    return known


@attrs.define
class Tally:
    """What a walk saw.

    Attributes:
        points: How many points were tried.
        killed: How many processes were killed there.
        torn: In how many an operation was under way.
        gave_up: In how many an operation failed for good, after the namespace was opened.
        errors: How many errors were raised, by the name of the class.
    """

    points: int = 0
    killed: int = 0
    torn: int = 0
    gave_up: int = 0
    errors: dict[str, int] = attrs.field(factory=dict)

    def add(self, found: Aftermath) -> None:
        """Count one process."""
        self.points += 1
        self.killed += not found.story.is_over
        self.torn += found.story.open is not None
        self.gave_up += found.gave_up
        for error in found.story.errors:
            name = error.partition(":")[0]
            self.errors[name] = self.errors.get(name, 0) + 1


async def walk(trial: Trial, server: ForkServer, points: Sequence[Point]) -> Tally:
    """Hit a process at each point, and examine what it leaves while the next one runs.

    Raises:
        DivergenceError: Something was lost, torn, or not to be used any more.
    """
    tally = Tally()
    await warm_up(trial, server)
    examination: asyncio.Task[Aftermath] | None = None
    for point in [*points, None]:
        space = trial.space()
        lines = [] if point is None else await asyncio.to_thread(server.run, space, _PERFORMED, point=point)
        if examination is not None:
            tally.add(await examination)
        examination = None if point is None else asyncio.create_task(_examined(space, lines, point))
    return tally


async def warm_up(trial: Trial, server: ForkServer) -> None:
    """Let the server import what the scenario needs, if it has not; without a fault nothing may go wrong."""
    if server.is_warm:
        return
    server.is_warm = True
    space = trial.space()
    lines = await asyncio.to_thread(server.run, space, _PERFORMED, tell_modules=True)
    await _examined(space, lines, Point())


async def _examined(space: Space, lines: list[Line], point: Point) -> Aftermath:
    async with space:
        found = await examine(space, lines)
    if found.faults:
        shown = "\n".join(found.faults[:_SHOWN])
        where = f"A process that was hit at {point} left" if point.name else "A process that was not hit left"
        told = f"\nIt had been told: {'; '.join(found.story.errors)}" if found.story.errors else ""
        msg = f"{where} {len(found.faults)} faults:\n{shown}{told}"
        raise DivergenceError(msg)
    return found


# Which points there are


@attrs.frozen
class Survey:
    """The calls at which the scenario can be hit.

    Attributes:
        made: Every call.
        under_way: When each operation was.
        lines: The ledger.
        log: What strace told.
    """

    made: list[Made]
    under_way: list[Window]
    lines: list[Line]
    log: str = ""


async def system_calls(trial: Trial, capabilities: Capabilities) -> Survey:
    """Return the system calls of the scenario that change what is stored.

    Raises:
        UnverifiedError: This system cannot trace processes.
        VacuousError: There is none.
    """
    known = _surveys.setdefault(trial.harness, {})
    if trial.mode not in known:
        known[trial.mode] = await _surveyed(trial, capabilities)
    return known[trial.mode]


async def _surveyed(trial: Trial, capabilities: Capabilities) -> Survey:
    strace.require()
    is_remote = trial.harness.server_kind is not None or capabilities.scope is Scope.CLUSTER
    names = FILE_CALLS + SOCKET_CALLS if is_remote else FILE_CALLS
    space = trial.space()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls"
        with ForkServer(trial.harness, strace.tracing({*names, *TRACED}, log)) as server:
            lines = await asyncio.to_thread(server.run, space, _PERFORMED)
            await _examined(space, lines, Point())
        told = log.read_text(errors="replace")
    made = [call for call in strace.made(told) if call.name in names]
    if not made:
        msg = "The scenario made no system call that changes what is stored, as far as strace can see."
        raise VacuousError(msg)
    return Survey(made, _windows(trial, lines), lines, told)


async def package_calls(trial: Trial, server: ForkServer) -> tuple[str, Survey]:
    """Return the folder of the backend's package, and the calls of the scenario inside of it."""
    folder = await package_folder(trial)
    space = trial.space()
    lines = await asyncio.to_thread(server.run, space, _PERFORMED, point=Point("call", package=folder))
    await _examined(space, lines, Point())
    total = next(line[1] for line in lines if line[0] == "calls")
    return folder, Survey(
        [Made("call", number, number) for number in range(1, total + 1)], _windows(trial, lines), lines
    )


async def package_folder(trial: Trial) -> str:
    """Return the folder of the package that the task queue's class is in."""
    async with trial.space() as space:
        module = type((await space.open()).task_queue).__module__
    package = sys.modules[module.partition(".")[0]]
    return str(Path(package.__file__).parent if package.__file__ else package.__path__[0])


def _windows(trial: Trial, lines: list[Line]) -> list[Window]:
    return windows(lines, [act.name.partition("(")[0] for act in scenario(trial.mode)])
