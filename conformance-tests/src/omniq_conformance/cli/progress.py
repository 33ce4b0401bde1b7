"""What is shown while the suite runs: a line for every family."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from omniq_conformance.cli.output import counts_text, plain, status_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.console import Console
    from rich.progress import TaskID

    from omniq_conformance.families import Family
    from omniq_conformance.outcomes import Outcome
    from omniq_conformance.registry import Item

__all__ = ["Progress"]

_LONGEST = 120
"""How much of a reason is shown; the summary has the rest."""


class Progress:
    """Live lines on a terminal; elsewhere a line for each family that is done, and for each bad verdict.

    Args:
        console: Where to show it.
        items: What is going to be run.
    """

    def __init__(self, console: Console, items: Sequence[Item]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        self._console = console
        self._left = Counter(item.case.family.number for item in items)
        self._counts: dict[int, Counter[str]] = {number: Counter() for number in self._left}
        self._started = time.perf_counter()
        columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn())
        self._bars = Bars(*columns, TextColumn("{task.fields[seen]}"), console=console, transient=True)
        families = {item.case.family.number: item.case.family for item in items}
        self._rows: dict[int, TaskID] = {
            number: self._bars.add_task(families[number].name, total=self._left[number], seen="")
            for number in sorted(families)
        }

    def tell(self, item: Item, outcome: Outcome) -> None:
        """Note a verdict."""
        family = item.case.family
        self._counts[family.number][outcome.status] += 1
        self._left[family.number] -= 1
        if not outcome.status.is_good:
            first = plain(outcome.reason.partition("\n")[0])
            first = first if len(first) <= _LONGEST else f"{first[: _LONGEST - 3]}..."
            self._console.print(status_text(outcome.status), item.id, first, sep="  ", soft_wrap=True)
        if self._console.is_terminal:
            seen = counts_text(self._counts[family.number]).markup
            self._bars.update(self._rows[family.number], advance=1, seen=seen)
        elif not self._left[family.number]:
            self._say_done(family)

    def _say_done(self, family: Family) -> None:
        elapsed = time.perf_counter() - self._started
        counts = counts_text(self._counts[family.number]).plain
        self._console.print(f"{elapsed:6.1f} s  {family.name}: {counts}")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()
