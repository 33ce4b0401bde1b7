"""The report of a run: a header, a line for every item, a footer."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import attrs

from omniq_conformance.outcomes import Status
from omniq_conformance.registry import SPEC
from omniq_conformance.reports.values import jsonable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq_conformance.outcomes import Outcome
    from omniq_conformance.registry import Item

__all__ = ["SCHEMA", "Footer", "Header", "Line", "Report", "hash_of", "now"]

SCHEMA = 1
"""The version of the report's format."""


@attrs.frozen(kw_only=True)
class Header:
    """What was run, on what.

    Attributes:
        schema: The version of the format.
        spec: The level of the storage specification.
        suite: The version of the suite.
        profile: How much was done.
        seed: Of everything random.
        started: When, ISO 8601 in UTC.
        python: The version of the interpreter.
        system: Operating system and processor.
        backend: The name of the backend.
        distribution: What pip installed for it, with the version.
        server: Product and version of its engine.
        items: How many items the run is to have.
        left_out: How many items of the suite were not chosen; a run with any proves no level.
        capabilities: What each of its roles declares, by the name of the role.
        known_issues: What its author declares to fail.
    """

    schema: int = SCHEMA
    spec: str = SPEC
    suite: str
    profile: str
    seed: int
    started: str
    python: str
    system: str
    backend: str
    distribution: str
    server: str
    items: int
    left_out: int
    capabilities: Mapping[str, Mapping[str, Any]]
    known_issues: tuple[Mapping[str, str], ...] = ()


@attrs.frozen(kw_only=True)
class Line:
    """The verdict on one item.

    Attributes:
        id: The item, such as `OQ-Q-0101-joined`.
        case: Its case.
        title: What the case guarantees.
        family: The number of the family.
        level: What the family counts towards.
        status: The verdict.
        reason: Why it is not a pass.
        seconds: How long it took.
        evidence: What the case noted of its run.
    """

    id: str
    case: str
    title: str
    family: int
    level: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    evidence: Mapping[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, item: Item, outcome: Outcome) -> Self:
        """Write down a verdict."""
        return cls(
            id=item.id,
            case=item.case.id,
            title=item.case.title,
            family=item.case.family.number,
            level=item.case.family.level,
            status=outcome.status.value,
            reason=outcome.reason,
            seconds=round(outcome.duration, 4),
            evidence=jsonable(outcome.evidence),
        )


@attrs.frozen(kw_only=True)
class Footer:
    """That the run came to its end; a report without it is invalid.

    Attributes:
        ended: When, ISO 8601 in UTC.
        seconds: How long the run took.
        counts: How many items have each status.
        items_sha256: SHA-256 of the items' ids, sorted, each with a line feed after it.
    """

    ended: str
    seconds: float
    counts: Mapping[str, int]
    items_sha256: str


Write = Callable[[Header | Line | Footer], object]


@attrs.frozen
class Report:
    """A whole run.

    Attributes:
        header: What was run.
        lines: The verdicts, in the order of the cases.
        footer: That it ended.
    """

    header: Header
    lines: tuple[Line, ...]
    footer: Footer

    @property
    def is_good(self) -> bool:
        """Whether no item failed, broke or was vacuous."""
        return all(Status(line.status).is_good for line in self.lines)

    @classmethod
    def of(cls, header: Header, verdicts: Iterable[tuple[Item, Outcome]], write: Write | None = None) -> Self:
        """Take the verdicts as they come.

        Args:
            header: What is run.
            verdicts: Each item with its verdict.
            write: Called with every part of the report as soon as it is there.
        """
        write = write or _keep_only
        write(header)
        started = time.perf_counter()
        lines = []
        for item, outcome in verdicts:
            lines.append(Line.of(item, outcome))
            write(lines[-1])
        footer = Footer(
            ended=now(),
            seconds=round(time.perf_counter() - started, 3),
            counts=dict(sorted(Counter(line.status for line in lines).items())),
            items_sha256=hash_of(line.id for line in lines),
        )
        write(footer)
        return cls(header, tuple(lines), footer)


def hash_of(ids: Iterable[str]) -> str:
    """Return the SHA-256 of a set of item ids, in hexadecimal."""
    return hashlib.sha256("".join(f"{id}\n" for id in sorted(ids)).encode()).hexdigest()


def now() -> str:
    """Return the present moment, ISO 8601 in UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _keep_only(part: Header | Line | Footer) -> None:
    del part
