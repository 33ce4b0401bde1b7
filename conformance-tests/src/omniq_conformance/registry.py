"""The cases of the suite: what is checked, under an id that never changes its meaning."""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.families import FAMILIES, Family
from omniq_conformance.harness import Harness
from omniq_conformance.profiles import Profile
from omniq_conformance.space import Mode, Space

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["SPEC", "Case", "Item", "Trial", "all_cases", "case", "items", "register"]

SPEC = "1.0"
"""The level of the storage specification that these cases check."""

_ID = re.compile(r"OQ-[QRESX]-\d{4}")
_cases: dict[str, Case] = {}


@attrs.frozen
class Trial:
    """What a case is run with.

    Attributes:
        harness: The backend.
        mode: Whether roles are joined.
        profile: How much to do.
        seed: Of everything random.
        evidence: Where the case notes what it saw, as JSON values; it goes into the report.
    """

    harness: Harness
    mode: Mode
    profile: Profile
    seed: int = 0
    evidence: dict[str, Any] = attrs.field(factory=dict)

    def space(self, *, joined: bool | None = None) -> Space:
        """Return a fresh namespace, in the mode of the trial unless told."""
        mode = self.mode if joined is None else Mode.JOINED if joined else Mode.SEPARATE
        return Space(self.harness, mode)


Check = Callable[[Trial], None]


@attrs.frozen(kw_only=True)
class Case:
    """One thing that every backend has to do.

    Attributes:
        id: `OQ-<role>-<number>`: role Q queue, R results, E events, S schedules, X several; the first two digits of the
            number are the family, which the module of the case describes.
        title: What is guaranteed, as a sentence.
        modes: In which modes it runs.
        check: Does it; whatever it raises is a failure, apart from the exceptions of `outcomes`.
        provisional: Whether it is new in this release: shown, and counted from the next release on.
    """

    id: str
    title: str
    modes: tuple[Mode, ...]
    check: Check
    provisional: bool = False

    @property
    def family(self) -> Family:
        """The family that its id names."""
        return FAMILIES[int(self.id[5:7])]


@attrs.frozen
class Item:
    """A case in one mode.

    Attributes:
        case: What to check.
        mode: In which mode.
    """

    case: Case
    mode: Mode

    @property
    def id(self) -> str:
        """The case's id, with the mode if there are several."""
        return self.case.id if len(self.case.modes) == 1 else f"{self.case.id}-{self.mode}"


def register(
    id: str, title: str, check: Check, *, modes: tuple[Mode, ...] = (Mode.SEPARATE,), provisional: bool = False
) -> None:
    """Add a case.

    Raises:
        ValueError: The id is taken or malformed, or its family is not in `families`.
    """
    if not _ID.fullmatch(id) or id in _cases or int(id[5:7]) not in FAMILIES:
        msg = f"{id!r} is taken or no case id. Take the next free number of the family, such as OQ-Q-0512."
        raise ValueError(msg)
    _cases[id] = Case(id=id, title=title, modes=modes, check=check, provisional=provisional)


def case(
    id: str, *, modes: tuple[Mode, ...] = (Mode.SEPARATE,), provisional: bool = False
) -> Callable[[Callable[[Trial], Coroutine[Any, Any, None] | None]], Check]:
    """Register a function as a case; the first line of its docstring is the title.

    A coroutine function gets an event loop of its own.
    """

    def decorate(function: Callable[[Trial], Coroutine[Any, Any, None] | None]) -> Check:
        @functools.wraps(function)  # `explain` shows the source of what was wrapped
        def check(trial: Trial) -> None:
            outcome = function(trial)
            if inspect.iscoroutine(outcome):
                asyncio.run(outcome)

        title = inspect.getdoc(function) or function.__name__
        register(id, title.splitlines()[0], check, modes=modes, provisional=provisional)
        return check

    return decorate


def all_cases() -> list[Case]:
    """Return every case, by id."""
    from omniq_conformance import cases

    del cases  # importing it registered them
    return [_cases[id] for id in sorted(_cases)]


def items(profile: Profile | None = None) -> Iterator[Item]:
    """Yield every case in every mode that it has; if a profile is given, without the cases that it leaves out."""
    for each in all_cases():
        if profile is None or profile.runs(each.id):
            for mode in each.modes:
                yield Item(each, mode)
