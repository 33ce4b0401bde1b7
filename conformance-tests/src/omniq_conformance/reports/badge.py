"""A badge of a report, as the JSON that shields.io takes for an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq_conformance.outcomes import Status
from omniq_conformance.reports.levels import standings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq_conformance.reports.report import Report

__all__ = ["badge"]

_NOTED = (Status.UNVERIFIED, Status.KNOWN_ISSUE)


def badge(report: Report) -> Mapping[str, Any]:
    """Return the badge: the levels that the report proves, never a percentage.

    It is red if anything failed, broke or was vacuous; green if every level is reached; yellow-green if some are.
    What is unverified or a known issue is counted in it.
    """
    counts = report.footer.counts
    bad = [f"{counts[status]} {status}" for status in Status if not status.is_good and counts.get(status)]
    found = standings(report)
    reached = [f"{standing.level} ✓" for standing in found if standing.is_reached]
    noted = [f"{counts[status]} {status}" for status in _NOTED if counts.get(status)]
    partial = ["a part of the suite only"] if report.header.left_out else []
    smoke = ["smoke profile"] if report.header.profile == "smoke" else []
    levels = [] if partial else [" ".join(reached) or "no level reached"]
    return {
        "schemaVersion": 1,
        "label": f"OmniQ conformance {report.header.spec}",
        "message": " · ".join([*bad, *levels, *noted, *partial, *smoke]),
        "color": _color(len(reached), len(found), is_bad=bool(bad)),
        "isError": bool(bad),
    }


def _color(reached: int, levels: int, *, is_bad: bool) -> str:
    if is_bad:
        return "red"
    if reached == levels:
        return "brightgreen"
    return "yellowgreen" if reached else "lightgrey"
