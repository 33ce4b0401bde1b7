"""Makes a failing program short: first without operations, then without parts of their arguments."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from omniq_conformance.programs.program import Op, Program

__all__ = ["minimize"]

_NEEDED = frozenset({"id", "queue"})


def minimize(program: Program, fails: Callable[[Program], bool], *, seconds: float = 10.0) -> Program:
    """Return a program of which nothing can be left out, or the shortest one found in time.

    Args:
        program: A program that fails.
        fails: Tells whether another one fails too; whichever way.
        seconds: How long to try.
    """
    search = _Search(program, fails, time.monotonic() + seconds)
    while search.without_operations() or search.without_arguments():
        pass
    return search.best


class _Search:
    def __init__(self, program: Program, fails: Callable[[Program], bool], deadline: float) -> None:
        self.best = program
        self._fails = fails
        self._deadline = deadline

    def _try(self, ops: Sequence[Op]) -> bool:
        candidate = attrs.evolve(self.best, ops=tuple(ops))
        if time.monotonic() > self._deadline or not self._fails(candidate):
            return False
        self.best = candidate
        return True

    def without_operations(self) -> bool:
        """Leave out runs of operations, long ones first; tell whether that got anywhere."""
        before = len(self.best.ops)
        size = before // 2
        while size:
            start = len(self.best.ops) - size
            while start >= 0:
                ops = self.best.ops
                self._try(ops[:start] + ops[start + size :])
                start -= size
            size //= 2
        return len(self.best.ops) < before

    def without_arguments(self) -> bool:
        """Leave out items of batches and optional fields; tell whether that got anywhere."""
        improved = False
        for place in range(len(self.best.ops)):
            again = True
            while again:
                again = any(
                    self._try(
                        (
                            *self.best.ops[:place],
                            attrs.evolve(self.best.ops[place], args=args),
                            *self.best.ops[place + 1 :],
                        )
                    )
                    for args in list(_simpler(dict(self.best.ops[place].args)))
                )
                improved = improved or again
        return improved


def _simpler(args: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in args.items():
        if isinstance(value, list | tuple) and len(value) > 1 and name != "states":
            for place in range(len(value)):
                yield {**args, name: [*value[:place], *value[place + 1 :]]}
        if name == "specs":
            for place, spec in enumerate(value):
                for key in spec.keys() - _NEEDED:
                    less = {other: given for other, given in spec.items() if other != key}
                    yield {**args, name: [*value[:place], less, *value[place + 1 :]]}
