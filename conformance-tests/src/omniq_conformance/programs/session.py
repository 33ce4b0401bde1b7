"""Runs a program on a backend and compares every answer with the model's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from omniq.models.config import Role
from omniq.storage.capabilities import Durability
from omniq_conformance.outcomes import DivergenceError
from omniq_conformance.programs.calls import Call, Reopen, Together
from omniq_conformance.programs.machines import machine_for
from omniq_conformance.programs.translation import Translation
from omniq_conformance.space import Mode, Space, Stores

if TYPE_CHECKING:
    from omniq.storage.task_queue import TaskQueue
    from omniq_conformance.harness import Harness
    from omniq_conformance.programs.calls import Machine, Step
    from omniq_conformance.programs.program import Program

__all__ = ["execute"]

_PATIENCE = 30.0
_SIBLING = 2
_FIRING = frozenset({"schedules", "schedule-queue"})
"""Families whose joined mode needs the schedules joined."""
_BY_NUMBER = frozenset({"results", "events"})
"""Families that number tasks themselves; in the others they get their numbers from the backend."""


def execute(program: Program, harness: Harness) -> Machine:
    """Run a program on a fresh namespace, in an event loop of its own.

    Returns:
        The machine, with what it saw.

    Raises:
        DivergenceError: The backend answered something else than the model, or raised.
    """
    machine = machine_for(program)
    asyncio.run(_run(program, machine, harness))
    return machine


async def _run(program: Program, machine: Machine, harness: Harness) -> None:
    async with Space(harness, Mode(program.mode)) as space:
        session = _Session(space, Translation(learning=program.family not in _BY_NUMBER))
        try:
            await session.start()
            if program.mode == Mode.JOINED and program.family in _FIRING:
                session.first.require_joined(Role.SCHEDULE_STORAGE)
            for number, op in enumerate(program.ops):
                for step in machine.run(op):
                    await session.follow(step, f"operation {number}, {op}")
            for step in machine.finish():
                await session.follow(step, "the comparison at the end")
            session.check_order()
        finally:
            await session.close()


class _Session:
    """The handles of one run."""

    def __init__(self, space: Space, translation: Translation) -> None:
        self._space = space
        self._handles: dict[int, Stores] = {}
        self._sibling: TaskQueue | None = None
        self._number = 0
        self._translation = translation

    @property
    def first(self) -> Stores:
        """The first handle."""
        return self._handles[0]

    async def start(self) -> None:
        self._handles = {0: await self._space.open()}

    async def close(self) -> None:
        if self._sibling is not None:
            await self._sibling.close()

    async def follow(self, step: Step, where: str) -> None:
        if isinstance(step, Call):
            await self._call(step, where)
        elif isinstance(step, Together):
            for role in {call.role for call in step.calls}:
                await self._storage(role)  # opened before, not by several calls at once
            answers = await asyncio.gather(*(self._answer(call, where) for call in step.calls))
            for call, answer in zip(step.calls, answers, strict=True):
                self._compare(call, answer, where)
        elif isinstance(step, Reopen):
            await self._reopen()
        else:
            self._number = step.number

    def check_order(self) -> None:
        if (fault := self._translation.disorder()) is not None:
            raise DivergenceError(fault)

    async def _reopen(self) -> None:
        volatile = any(storage.capabilities.durability is Durability.NONE for storage in self._handles[0].opened)
        # What keeps nothing without a handle gets the new handle first.
        keeper = await self._space.harness.open(self._space.name) if volatile else None
        await self.close()
        self._sibling = None
        await self._space.close()
        await self.start()
        if keeper is not None:
            await keeper.close()

    async def _storage(self, role: str) -> Any:
        if self._number == _SIBLING:
            if role == "task_queue":
                return await self._opened_sibling()
            return getattr(self._handles[0], role)
        if self._number not in self._handles:
            self._handles[self._number] = await self._space.open()
        return getattr(self._handles[self._number], role)

    async def _opened_sibling(self) -> TaskQueue:
        if self._sibling is None:
            self._sibling = self._handles[0].task_queue.sibling()
            await self._sibling.open()
        return self._sibling

    async def _call(self, call: Call, where: str) -> None:
        self._compare(call, await self._answer(call, where), where)

    async def _answer(self, call: Call, where: str) -> Any:
        method = getattr(await self._storage(call.role), call.method)
        args = [self._translation.outgoing(arg) for arg in call.args]
        kwargs = {name: self._translation.outgoing(value) for name, value in call.kwargs.items()}
        if call.role == "task_queue" and "after" in kwargs:
            kwargs["after"] = self._translation.seq(kwargs["after"])
        try:
            async with asyncio.timeout(_PATIENCE):
                return await method(*args, **kwargs)
        except Exception as error:
            error.add_note(f"in {where}: {call}")
            raise

    def _compare(self, call: Call, actual: Any, where: str) -> None:
        if call.numbers:
            self._translation.remember(call.numbers, actual)
        actual = self._translation.incoming(call.expected, actual)
        right = call.judge(call.expected, actual) if call.judge else call.expected == actual
        if not right:
            msg = f"in {where}:\n  {call}\n{_difference(call.expected, actual)}"
            raise DivergenceError(msg)


def _difference(expected: Any, actual: Any) -> str:
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = [(place, e, a) for place, (e, a) in enumerate(zip(expected, actual, strict=True)) if e != a]
        if pairs:
            return "\n".join(f"  item {place}:\n    expected {e!r}\n    got      {a!r}" for place, e, a in pairs)
    return f"  expected {expected!r}\n  got      {actual!r}"
