"""Several schedulers at once: coroutines on one handle or on several, threads, or processes of which one is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from random import Random
from typing import TYPE_CHECKING

import attrs

from omniq.models.record import TaskBody, TaskSpec
from omniq.storage.schedules import Advance
from omniq.worker.scheduler import fire_id
from omniq_conformance.concurrency.crew import GO, READY
from omniq_conformance.interpreters import module_command, own_environment
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.references import harness_from, reference_to
from omniq_conformance.space import Mode, Space

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.schedule import Schedule
    from omniq_conformance.space import Stores

__all__ = ["Fired", "Race", "coroutines", "finish", "handles", "main", "processes", "threads"]

_PATIENCE = 60.0
_BATCH = 100
_PAUSE = 0.003


@attrs.frozen(kw_only=True)
class Race:
    """What is fired, and by how many.

    Attributes:
        schedulers: How many there are.
        schedules: How many schedules they share.
        fires: How often each schedule fires; all of its times have come already.
        seed: Of the pauses.
    """

    schedulers: int
    schedules: int
    fires: int
    seed: int = 0

    @property
    def ids(self) -> list[str]:
        """The schedules."""
        return [f"s{number}" for number in range(self.schedules)]


@attrs.frozen
class Fired:
    """One attempt to fire a schedule.

    Attributes:
        scheduler: Which one tried.
        id: The schedule.
        version: The version that it knew.
        won: Whether it advanced the schedule.
    """

    scheduler: int
    id: str
    version: int
    won: bool


class _Scheduler:
    """Fires what is due, one time after the other, with pauses between its steps.

    Args:
        stores: Its handle.
        number: Of the scheduler.
        race: What is fired.
        note: Takes every attempt.
        dies_at: Before which advance it kills its process; 0 for never.
    """

    def __init__(
        self, stores: Stores, number: int, race: Race, note: Callable[[Fired], object], *, dies_at: int = 0
    ) -> None:
        self._stores = stores
        self._number = number
        self._race = race
        self._note = note
        self._left = dies_at
        self._rng = Random(f"{race.seed} {number}")  # noqa: S311 - reproducible pauses

    async def run(self) -> None:
        """Fire until nothing is due."""
        while due := await self._stores.schedules.due(_BATCH):
            self._rng.shuffle(due)
            for schedule in due:
                await asyncio.sleep(self._rng.random() * _PAUSE)
                won = await self._fire(schedule)
                self._note(Fired(self._number, schedule.id, schedule.version, won))

    async def _fire(self, schedule: Schedule) -> bool:
        time = schedule.next_run or 0
        is_last = schedule.runs + 1 >= self._race.fires
        id = fire_id(schedule.id, time)
        specs = [TaskSpec(id=id, body=TaskBody(func="pkg.f"), queue="a", eta=time, pinned=True)]
        move = Advance(
            id=schedule.id,
            expected_version=schedule.version,
            next_run=None if is_last else time + (schedule.interval_ms or 1),
            last_run=time,
            fired=1,
        )
        if self._stores.joined:
            self._die()
            return await self._stores.task_queue.fire(specs, move) is not None
        await self._stores.task_queue.enqueue(specs)
        await asyncio.sleep(self._rng.random() * _PAUSE)
        self._die()
        return await self._stores.schedules.advance([move]) == [True]

    def _die(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


async def finish(stores: Stores, race: Race) -> None:
    """Fire what is left, as a scheduler that comes later."""
    await _Scheduler(stores, race.schedulers, race, lambda _: None).run()


async def coroutines(space: Space, race: Race) -> Sequence[Fired]:
    """Let all schedulers share one handle."""
    stores = await space.open()
    return await _together([stores] * race.schedulers, race)


async def handles(space: Space, race: Race) -> Sequence[Fired]:
    """Give every scheduler a handle of its own, in one event loop."""
    return await _together([await space.open() for _ in range(race.schedulers)], race)


async def _together(stores: Sequence[Stores], race: Race) -> Sequence[Fired]:
    found: list[Fired] = []
    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        for number, each in enumerate(stores):
            group.create_task(_Scheduler(each, number, race, found.append).run())
    return found


async def threads(space: Space, race: Race) -> Sequence[Fired]:
    """Give every scheduler a thread, an event loop and a handle of its own."""
    found: list[Fired] = []
    barrier = threading.Barrier(race.schedulers, timeout=_PATIENCE)

    def alone(number: int) -> None:
        own = Space(space.harness, space.mode, space.name)
        asyncio.run(_alone(own, number, race, found.append, begin=barrier.wait))

    async with asyncio.timeout(_PATIENCE):
        await asyncio.gather(*(asyncio.to_thread(alone, number) for number in range(race.schedulers)))
    return found


async def _alone(
    space: Space,
    number: int,
    race: Race,
    note: Callable[[Fired], object],
    *,
    begin: Callable[[], object] = lambda: None,
    dies_at: int = 0,
) -> None:
    try:
        stores = await space.open()
        begin()
        await _Scheduler(stores, number, race, note, dies_at=dies_at).run()
    finally:
        await space.close()


async def processes(space: Space, race: Race) -> Sequence[Fired]:
    """Give every scheduler a process of its own; the first one is killed between its steps."""
    order = {
        "harness": reference_to(space.harness),
        "namespace": space.name,
        "mode": space.mode.value,
        "race": attrs.asdict(race),
    }
    children = [await _start({**order, "number": number}) for number in range(race.schedulers)]
    try:
        async with asyncio.timeout(_PATIENCE):
            for child in children:
                await _is_ready(child)
            told = await asyncio.gather(*(child.communicate(GO.encode()) for child in children))
    finally:
        for child in children:
            if child.returncode is None:
                child.kill()
                await child.wait()
    for number, child in enumerate(children):
        if child.returncode != (0 if number else -signal.SIGKILL):
            msg = f"Scheduler {number} ended with {child.returncode}: {told[number][1].decode()}"
            raise DivergenceError(msg)
    return [Fired(*json.loads(line)) for out, _ in told for line in out.decode().splitlines()]


async def _start(order: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *module_command("concurrency.schedulers", order),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=own_environment(),
    )


async def _is_ready(child: asyncio.subprocess.Process) -> None:
    line = b"" if child.stdout is None else await child.stdout.readline()
    if line.decode() != READY:
        _, faults = await child.communicate()
        msg = f"A scheduler's process did not begin: {faults.decode()}"
        raise DivergenceError(msg)


def _tell(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _begin() -> None:
    _tell(READY)
    sys.stdin.readline()


def main() -> None:
    """Be one scheduler, as the argument says; tell every attempt on standard output."""
    order = json.loads(sys.argv[1])
    space = Space(harness_from(order["harness"]), Mode(order["mode"]), order["namespace"])
    number = order["number"]
    dies_at = 0 if number else 3

    def note(fired: Fired) -> None:
        _tell(json.dumps(attrs.astuple(fired)) + "\n")

    asyncio.run(_alone(space, number, Race(**order["race"]), note, begin=_begin, dies_at=dies_at))


if __name__ == "__main__":
    main()
