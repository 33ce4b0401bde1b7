"""What the machines of results, events and schedules have in common: a clock and handles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

from omniq_conformance.programs.calls import Call, Reopen, Step, UseHandle
from omniq_conformance.programs.queue_machine import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omniq_conformance.programs.program import Op

__all__ = ["RoleMachine"]


class RoleMachine(ABC):
    """Runs the operations of one role on its model; a subclass has a method `_<operation>` for each.

    Attributes:
        role: The attribute of the opened stores.
        now: The time of every call.
        seen: How often each noteworthy thing happened.
    """

    role: str

    def __init__(self) -> None:
        self.now = START
        self.serial = 0
        self.seen: Counter[str] = Counter()

    def run(self, op: Op) -> Iterable[Step]:
        """Do the operation on the model and yield the steps that the backend has to follow."""
        self.serial += 1
        yield from getattr(self, f"_{op.name}")(**op.args)

    @abstractmethod
    def finish(self) -> Iterable[Step]:
        """Yield the reads that compare the whole store with the model."""

    @abstractmethod
    def deadlines(self) -> list[int]:
        """Return every time at which something changes without a call, ascending."""

    def call(self, method: str, *args: Any, expected: Any, numbers: Sequence[int] = (), **kwargs: Any) -> Call:
        """Return a call of the role."""
        return Call(self.role, method, args, kwargs, expected, None, numbers)

    def _clock(self, by: int | None = None, to: int = 0, delta: int = 0) -> Iterator[Step]:
        future = [time for time in self.deadlines() if time > self.now]
        target = (future[to % len(future)] if future else self.now) + delta if by is None else self.now + by
        self.seen["clock moved back"] += target < self.now
        self.now = target
        yield from ()

    def _reopen(self) -> Iterator[Step]:
        self.seen["reopened"] += 1
        yield Reopen()

    def _handle(self, number: int) -> Iterator[Step]:
        yield UseHandle(number)

    def _dump(self) -> Iterator[Step]:
        yield from self.finish()
