"""Reports side by side: backends and their servers against the families of cases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from omniq_conformance.families import FAMILIES, Family
from omniq_conformance.outcomes import Status
from omniq_conformance.reports.jsonl import ReportError
from omniq_conformance.reports.levels import Standing, standings
from omniq_conformance.reports.report import Line, Report

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GLYPHS", "MEANINGS", "Cell", "Column", "matrix"]

GLYPHS: Mapping[str, str] = {
    Status.PASS: "✓",
    Status.FAIL: "✗",
    Status.ERROR: "!",
    Status.KNOWN_ISSUE: "⚑",
    Status.UNSUPPORTED: "-",
    Status.UNVERIFIED: "?",
    Status.VACUOUS: "∅",
    Status.PROVISIONAL: "◌",
}
"""A sign for each verdict, beside its name."""

MEANINGS: Mapping[str, str] = {
    Status.PASS: "The backend does what the contract says.",
    Status.FAIL: "It does something else.",
    Status.ERROR: "The harness broke, so nothing can be said.",
    Status.VACUOUS: "It ran, but what the case is there to see never happened. Counts as a failure.",
    Status.KNOWN_ISSUE: "It fails, and its author declared that, with a reason and an end.",
    Status.UNVERIFIED: "The environment of this run could not tell; the reason says what was missing.",
    Status.PROVISIONAL: "A case that is new in this release did not pass; from the next release on that counts.",
    Status.UNSUPPORTED: "The backend declares that it lacks this, and was seen to refuse it.",
}
"""What each verdict says to a reader, worst first."""

_WORST_FIRST = (
    Status.FAIL,
    Status.ERROR,
    Status.VACUOUS,
    Status.KNOWN_ISSUE,
    Status.UNVERIFIED,
    Status.PROVISIONAL,
    Status.PASS,
    Status.UNSUPPORTED,
)


@attrs.frozen(kw_only=True)
class Cell:
    """What one report says of one family.

    Attributes:
        family: The family.
        lines: Its items.
        page: The name of its page, without folder.
    """

    family: Family
    lines: Sequence[Line]
    page: str

    @property
    def counts(self) -> Mapping[str, int]:
        """How many items have each verdict, worst first."""
        found = Counter(line.status for line in self.lines)
        return {status.value: found[status] for status in _WORST_FIRST if found[status]}

    @property
    def status(self) -> str | None:
        """The worst verdict of its items; unsupported only if all are. None if there is no item."""
        return next(iter(self.counts), None)

    @property
    def seconds(self) -> float:
        """How long its items took."""
        return sum(line.seconds for line in self.lines)


@attrs.frozen(kw_only=True)
class Column:
    """One backend on one version of its server.

    Attributes:
        report: The newest report on it.
        slug: Its name in file names.
        cells: What the report says, by the number of the family.
        standings: How it stands with each level.
    """

    report: Report
    slug: str
    cells: Mapping[int, Cell]
    standings: Sequence[Standing]

    @property
    def title(self) -> str:
        """Backend and server."""
        return _title(self.report)


def matrix(reports: Iterable[Report]) -> Sequence[Column]:
    """Return a column for every backend and server, by name; of several reports on the same, the newest counts.

    Raises:
        ReportError: There is none, or they are of different specifications.
    """
    found = sorted(reports, key=lambda each: (each.header.started, each.footer.ended, repr(each)))
    specs = sorted({report.header.spec for report in found})
    if len(specs) != 1:
        what = f"These reports are of the specifications {', '.join(specs)}" if specs else "There is no report"
        raise ReportError(f"{what}. A site is made of reports of one: run the suite again where the level is old.")
    newest = {(report.header.backend, report.header.server): report for report in found}
    slugs: set[str] = set()
    return [_column(newest[key], slugs) for key in sorted(newest)]


def _title(report: Report) -> str:
    backend, server = report.header.backend, report.header.server
    is_named = server.casefold().partition(" ")[0] == backend.casefold()
    return server if is_named else f"{backend} {server}".strip()


def _slug(title: str, taken: set[str]) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-") or "backend"
    slug, number = plain, 1
    while slug in taken:
        number += 1
        slug = f"{plain}-{number}"
    taken.add(slug)
    return slug


def _column(report: Report, slugs: set[str]) -> Column:
    slug = _slug(_title(report), slugs)
    cells = {}
    for number, family in FAMILIES.items():
        lines = [line for line in report.lines if line.family == number]
        cells[number] = Cell(family=family, lines=lines, page=f"{number:02}-{family.name}.html")
    return Column(report=report, slug=slug, cells=cells, standings=standings(report))
