"""What a run ends with: a table, the reasons of all that is no pass, and the verdict."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from omniq_conformance.cli.output import STYLES, counted, counts_text, plain, print_table, table
from omniq_conformance.families import FAMILIES
from omniq_conformance.outcomes import Status
from omniq_conformance.reports.levels import standings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from omniq_conformance.reports.report import Line, Report

__all__ = ["Summary"]

_SHOWN_LINES = 30
_MEANT = {
    Status.UNSUPPORTED: "declared, and seen to be refused",
    Status.PROVISIONAL: "counts from the next release on",
    Status.UNVERIFIED: "this run could not tell",
    Status.KNOWN_ISSUE: "declared by the author",
    Status.VACUOUS: "what it is there to see never happened; counts as a failure",
    Status.ERROR: "the harness broke",
    Status.FAIL: "not what the contract says",
}
"""What each verdict but a pass means, the worst last, where a reader of a terminal looks first."""


class Summary:
    """The end of a run.

    Args:
        report: What it found.
        backend: As it was named.
        url: As it was given.
        strict: Whether what is unverified counts as bad.
        file: Where the report is.
    """

    def __init__(self, report: Report, *, backend: str, url: str | None, strict: bool, file: str | None) -> None:
        self._report = report
        self._target = f"--backend {shlex.quote(backend)}" + (f" --url {shlex.quote(url)}" if url else "")
        self._strict = strict
        self._file = file

    def print(self, console: Console) -> None:
        """Print all of it."""
        self._print_families(console)
        for status, meaning in _MEANT.items():
            lines = [line for line in self._report.lines if line.status == status]
            if lines:
                console.print(f"\n{status.upper()} ({counted(len(lines), 'item')}): {meaning}", style=STYLES[status])
                self._print_reasons(console, lines)
        self._print_verdict(console)

    def _print_families(self, console: Console) -> None:
        header = self._report.header
        server = f" on {header.server}" if header.server and header.server != header.backend else ""
        console.print(
            f"{header.backend}{server}: {header.distribution}, profile {header.profile}, seed {header.seed}\n"
        )
        families = table("family", "level", ">pass", ">items", "not passed", ">seconds")
        for number, family in FAMILIES.items():
            lines = [line for line in self._report.lines if line.family == number]
            if lines:
                counts = Counter(line.status for line in lines)
                passed = counts.pop(Status.PASS, 0)
                rest = counts_text(counts) if counts else ""
                seconds = f"{sum(line.seconds for line in lines):.1f}"
                families.add_row(family.name, family.level, str(passed), str(len(lines)), rest, seconds)
        print_table(console, families)

    def _print_reasons(self, console: Console, lines: Sequence[Line]) -> None:
        groups: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            groups[line.reason].append(line)
        for reason, group in groups.items():
            for line in group:
                console.print(f"  {line.id}  {line.title}", soft_wrap=True)
            console.print(_indented(reason), soft_wrap=True)
            files = {str(line.evidence["program_file"]) for line in group if "program_file" in line.evidence}
            for file in sorted(files):
                again = f"omniq-conformance replay {shlex.quote(file)} {self._target}"
                console.print(f"      {again}", soft_wrap=True, style="cyan")

    def _print_verdict(self, console: Console) -> None:
        counts = self._report.footer.counts
        console.print()
        for standing in standings(self._report):
            why = "reached" if standing.is_reached else f"not reached: {standing.missing}"
            style = "green" if standing.is_reached else ""
            console.print(f"{'✓' if standing.is_reached else '○'} {standing.level:<11} {why}", style=style)
        console.print(counts_text(counts), f"in {self._report.footer.seconds:.1f} s")
        if self._report.header.left_out:
            console.print(
                f"{counted(self._report.header.left_out, 'item')} of the suite left out, so no level is proved."
            )
        if self._file:
            console.print(f"Report: {self._file}", soft_wrap=True)
        unverified = counts.get(Status.UNVERIFIED, 0)
        if unverified:
            told = "That is a failure here (--strict)." if self._strict else "With --strict that is a failure."
            noun = "item is" if unverified == 1 else "items are"
            console.print(
                f"{unverified} {noun} UNVERIFIED: nobody knows whether the backend does this. {told}",
                style="bold yellow",
            )
        good = self._report.is_good and not (self._strict and unverified)
        console.print("GOOD" if good else "NOT GOOD", style="bold green" if good else "bold red")


def _indented(reason: str) -> str:
    lines = plain(reason).splitlines()
    if len(lines) > _SHOWN_LINES:
        more = len(lines) - _SHOWN_LINES
        lines = [*lines[:_SHOWN_LINES], f"... and {counted(more, 'more line')}, which the report has"]
    return "\n".join(f"      {line}" for line in lines)
