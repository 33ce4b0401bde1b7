"""Which levels a report proves."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs

from omniq_conformance.families import Level
from omniq_conformance.outcomes import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq_conformance.reports.report import Report

__all__ = ["Standing", "standings"]

_UNCOUNTED = {Status.PASS, Status.UNSUPPORTED, Status.PROVISIONAL}


@attrs.frozen
class Standing:
    """How a backend stands with one level.

    Attributes:
        level: The level.
        counts: How many items of its families have each status.
        is_proved: Whether every one passed, apart from unsupported and provisional ones, and at least one did. A run
            that left out items of the suite proves nothing.
        is_reached: Whether it is proved, and core is too, without which no other level means anything.
    """

    level: Level
    counts: Counter[str]
    is_proved: bool
    is_reached: bool

    @property
    def missing(self) -> str:
        """What stands in the way, such as `2 fail, 5 unverified`; nothing for a level that is reached."""
        if self.is_reached:
            return ""
        found = {status: self.counts[status] for status in Status if status not in _UNCOUNTED and self.counts[status]}
        if found:
            return ", ".join(f"{number} {status}" for status, number in found.items())
        if self.counts[Status.PASS]:
            return "core is not reached" if self.is_proved else "only a part of the suite was run"
        return "nothing of it passed" if self.counts else "nothing of it was run"


def standings(report: Report) -> Sequence[Standing]:
    """Return how the backend of a report stands with each level, in their order."""
    found: list[Standing] = []
    for level in Level:
        counts = Counter(line.status for line in report.lines if line.level == level)
        proved = not report.header.left_out and counts[Status.PASS] > 0 and set(counts) <= _UNCOUNTED
        reached = proved and (found[0].is_proved if found else True)
        found.append(Standing(level, counts, proved, reached))
    return found
