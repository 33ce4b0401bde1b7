"""What a machine makes of an operation: calls with the answers they must get, and what is done to the handles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from collections import Counter

    from omniq_conformance.programs.program import Op

__all__ = ["Call", "Entry", "Judge", "Machine", "Position", "Reopen", "Step", "Together", "UseHandle"]

Judge = Callable[[Any, Any], bool]
"""Tells whether an answer (second) is what the model expects (first)."""


@attrs.frozen
class Call:
    """One call of one role and the answer that it must get.

    Attributes:
        role: The attribute of the opened stores: `task_queue`, `results`, `events` or `schedules`.
        method: The method's name.
        args: Positional arguments, with the model's sequence numbers.
        kwargs: Keyword arguments.
        expected: The model's answer.
        judge: Compares, where more than one answer is right; None compares by equality.
        numbers: The numbers of the events in the answer, whose positions are to be remembered.
    """

    role: str
    method: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)
    expected: Any = None
    judge: Judge | None = None
    numbers: Sequence[int] = ()

    def __str__(self) -> str:
        shown = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        return f"{self.role}.{self.method}({', '.join(shown)})"


@attrs.frozen
class Position:
    """Stands for the position of an event that was read; only the backend knows the text.

    Attributes:
        number: The event's number in the model.
    """

    number: int


@attrs.frozen
class Entry:
    """Stands for an outbox entry as the backend returned it, which may hold more than the model knows.

    Attributes:
        event_id: The event.
    """

    event_id: str


@attrs.frozen
class Together:
    """Reads that are made at the same time.

    Attributes:
        calls: What is read.
    """

    calls: Sequence[Call]

    def __str__(self) -> str:
        return f"{len(self.calls)} reads at once"


@attrs.frozen
class Reopen:
    """Close every handle and open the namespace again."""

    def __str__(self) -> str:
        return "close and open again"


@attrs.frozen
class UseHandle:
    """Make the following calls through another handle on the same namespace.

    Attributes:
        number: 0 is the first, 1 was opened independently, 2 is the first one's sibling.
    """

    number: int

    def __str__(self) -> str:
        return f"use handle {self.number}"


Step = Call | Together | Reopen | UseHandle


class Machine(Protocol):
    """Runs operations on a reference model and says what a backend must answer."""

    @property
    def seen(self) -> Counter[str]:
        """How often each noteworthy thing happened; a family that never saw what it is there for is vacuous."""
        ...

    def run(self, op: Op) -> Iterable[Step]:
        """Do the operation on the model and yield the steps that the backend has to follow."""
        ...

    def finish(self) -> Iterable[Step]:
        """Yield the reads that compare the whole store with the model."""
        ...
