"""What changed between two reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from omniq_conformance.outcomes import Status
from omniq_conformance.reports.jsonl import ReportError

if TYPE_CHECKING:
    from omniq_conformance.reports.report import Line, Report

__all__ = ["Change", "Difference", "compare"]

_ORDER = (
    Status.PASS,
    Status.UNSUPPORTED,
    Status.PROVISIONAL,
    Status.UNVERIFIED,
    Status.KNOWN_ISSUE,
    Status.VACUOUS,
    Status.ERROR,
    Status.FAIL,
)
"""The verdicts, best first: a backend that no longer supports what it passed got worse."""

_DESCRIPTIVE = ("backend", "distribution", "server", "spec", "suite", "profile", "seed", "python", "system")


@attrs.frozen
class Change:
    """An item whose verdict changed, or that only one of the reports has.

    Attributes:
        id: The item.
        title: What its case guarantees.
        old: The verdict before; None if it was not there.
        new: The verdict now; None if it is gone.
        reason: Why it is no pass now; of one that is gone, why it was none.
    """

    id: str
    title: str
    old: str | None
    new: str | None
    reason: str


@attrs.frozen(kw_only=True)
class Difference:
    """What changed from one report to another.

    Attributes:
        worse: What has a worse verdict than before.
        better: What has a better one.
        appeared: What only the new report has.
        disappeared: What only the old report has.
        headers: What else differs, by name: before and now.
        same: How many items have the same verdict.
    """

    worse: Sequence[Change]
    better: Sequence[Change]
    appeared: Sequence[Change]
    disappeared: Sequence[Change]
    headers: Mapping[str, tuple[Any, Any]]
    same: int


def compare(old: Report, new: Report) -> Difference:
    """Compare two reports, item by item.

    Raises:
        ReportError: They are of specifications whose first numbers differ, so ids may mean something else.
    """
    if _major(old) != _major(new):
        raise ReportError(
            f"The reports are of the specifications {old.header.spec} and {new.header.spec}, whose cases cannot be "
            "compared. Run both with the same version of the suite."
        )
    before = {line.id: line for line in old.lines}
    after = {line.id: line for line in new.lines}
    changes = [_change(before.get(id), after.get(id)) for id in sorted({*before, *after})]
    both = [each for each in changes if each.old is not None and each.new is not None]
    return Difference(
        worse=[each for each in both if _rank(each.new) > _rank(each.old)],
        better=[each for each in both if _rank(each.new) < _rank(each.old)],
        appeared=[each for each in changes if each.old is None],
        disappeared=[each for each in changes if each.new is None],
        headers=_headers(old, new),
        same=sum(each.old == each.new for each in both),
    )


def _major(report: Report) -> str:
    return report.header.spec.partition(".")[0]


def _rank(status: str | None) -> int:
    return -1 if status is None else _ORDER.index(Status(status))


def _change(old: Line | None, new: Line | None) -> Change:
    shown = new or old
    assert shown is not None
    return Change(shown.id, shown.title, old.status if old else None, new.status if new else None, shown.reason)


def _headers(old: Report, new: Report) -> Mapping[str, tuple[Any, Any]]:
    pairs = {name: (getattr(old.header, name), getattr(new.header, name)) for name in _DESCRIPTIVE}
    roles = sorted({*old.header.capabilities, *new.header.capabilities})
    for role in roles:
        before, after = old.header.capabilities.get(role, {}), new.header.capabilities.get(role, {})
        names = sorted({*before, *after} - {"server_version"})  # which is in the header
        pairs |= {f"{role}.{name}": _comparable(name, before.get(name), after.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _comparable(name: str, old: object, new: object) -> tuple[object, object]:
    # A transaction domain names the one store of that run.
    return (bool(old), bool(new)) if name == "transaction_domain" else (old, new)
