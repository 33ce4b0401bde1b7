"""What a mutant is, and the ways to make one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs

from omniq_conformance.mutants.editing import edited, reworded

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Edits", "Mutant", "Mutants"]

Edits = tuple[tuple[str, str], ...]

_SEEDED = frozenset({"01", "02"})
"""The families whose cases are random."""

_applied: set[tuple[str, str]] = set()
_for_good = ExitStack()


@attrs.frozen(kw_only=True)
class Mutant:
    """One planted bug.

    Attributes:
        name: Says what is wrong.
        backend: Of which backend.
        cases: Which cases have to find it: the beginnings of their ids, such as `OQ-Q-01`.
        owner: The class or module of what is replaced.
        attribute: The name of the function or constant.
        change: Makes the replacement of the original.
        raises: Errors by which the bug may show too; otherwise only a wrong answer counts.
        held_out: Whether it was made after the cases and never used to improve them.
    """

    name: str
    backend: str
    cases: tuple[str, ...]
    owner: Any
    attribute: str
    change: Callable[[Any], Any]
    raises: tuple[type[Exception], ...] = ()
    held_out: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Its backend and name, which no other mutant has."""
        return self.backend, self.name

    @property
    def needs_seeds(self) -> bool:
        """Whether any of its cases does other things with another seed."""
        return any(cases[5:7] in _SEEDED for cases in self.cases)

    @property
    def is_applied(self) -> bool:
        """Whether it is in effect in this process."""
        return self.key in _applied

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the original for the time of the block; it is of this process, so no other mutant may be applied."""
        replacement = self.change(getattr(self.owner, self.attribute))
        with patch.object(self.owner, self.attribute, replacement):
            _applied.add(self.key)
            try:
                yield
            finally:
                _applied.discard(self.key)

    def apply(self) -> None:
        """Replace the original until the process ends."""
        if not self.is_applied:
            _for_good.enter_context(self.applied())


class Mutants:
    """Collects the mutants of a backend; `cases` is one beginning of case ids, or several in a tuple.

    Args:
        backend: Its name.
        held_out: Whether they are held out.

    Attributes:
        found: Those that were made.
    """

    def __init__(self, backend: str, *, held_out: bool = False) -> None:
        self._backend = backend
        self._held_out = held_out
        self.found: list[Mutant] = []

    def add(
        self,
        name: str,
        cases: str | tuple[str, ...],
        owner: Any,
        attribute: str,
        change: Callable[[Any], Any],
        **more: Any,
    ) -> None:
        """Add one whose replacement is made by a function."""
        mutant = Mutant(
            name=name,
            backend=self._backend,
            cases=(cases,) if isinstance(cases, str) else cases,
            owner=owner,
            attribute=attribute,
            change=change,
            held_out=self._held_out,
            **more,
        )
        self.found.append(mutant)

    def broken(
        self, cases: str | tuple[str, ...], owner: Any, attribute: str
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Add one whose replacement is the decorated function.

        Its name says what is wrong; it is given the original and then the arguments.
        """

        def decorate(broken: Callable[..., Any]) -> Callable[..., Any]:
            def change(original: Any) -> Any:
                @functools.wraps(original)
                def replacement(*args: Any, **kwargs: Any) -> Any:
                    return broken(original, *args, **kwargs)

                return replacement

            self.add(broken.__name__.strip("_").replace("_", " "), cases, owner, attribute, change)
            return broken

        return decorate

    def edited(
        self, name: str, cases: str | tuple[str, ...], owner: Any, attribute: str, *edits: tuple[str, str], **more: Any
    ) -> None:
        """Add one whose replacement is the function with some of its source replaced."""
        self.add(name, cases, owner, attribute, lambda original: edited(original, edits), **more)

    def reworded(self, name: str, cases: str | tuple[str, ...], owner: Any, attribute: str, old: str, new: str) -> None:
        """Add one whose replacement is the constant, a text or a table of texts, with some of it replaced."""
        self.add(name, cases, owner, attribute, lambda original: reworded(original, old, new))
