"""The report of a run: a header, a line for every item, a footer."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import platform
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import attrs
from importlib_metadata import PackageNotFoundError, version

from omniq.storage.plugins import list_backends
from omniq_conformance.outcomes import Status
from omniq_conformance.registry import SPEC

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.storage.capabilities import Capabilities
    from omniq_conformance.harness import Harness
    from omniq_conformance.outcomes import Outcome
    from omniq_conformance.profiles import Profile
    from omniq_conformance.registry import Item

__all__ = ["SCHEMA", "Footer", "Header", "Line", "Report"]

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
            status=outcome.status,
            reason=outcome.reason,
            seconds=round(outcome.duration, 4),
            evidence=dict(outcome.evidence),
        )


@attrs.frozen(kw_only=True)
class Footer:
    """That the run came to its end; a report without it is invalid.

    Attributes:
        ended: When, ISO 8601 in UTC.
        seconds: How long the run took.
        counts: How many items have each status.
    """

    ended: str
    seconds: float
    counts: Mapping[str, int]


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
    def of(cls, harness: Harness, profile: Profile, seed: int, verdicts: Iterable[tuple[Item, Outcome]]) -> Self:
        """Describe a backend, which is opened for that, and take the verdicts as they come."""
        header = describe(harness, profile, seed)
        started = time.perf_counter()
        lines = tuple(Line.of(item, outcome) for item, outcome in verdicts)
        counts = Counter(line.status for line in lines)
        seconds = round(time.perf_counter() - started, 3)
        return cls(header, lines, Footer(ended=_now(), seconds=seconds, counts=dict(sorted(counts.items()))))


def describe(harness: Harness, profile: Profile, seed: int) -> Header:
    """Return the header of a run."""
    found = asyncio.run(_capabilities(harness))
    servers = sorted({each.server_version for each in found.values() if each.server_version})
    return Header(
        suite=version("omniq-conformance"),
        profile=profile.name,
        seed=seed,
        started=_now(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        backend=harness.backend,
        distribution=_distribution(harness.backend),
        server=", ".join(servers),
        capabilities={role: attrs.asdict(each) for role, each in found.items()},
        known_issues=tuple(
            {"id": issue.id, "url": issue.url, "reason": issue.reason, "expires": issue.expires.isoformat()}
            for issue in harness.known_issues
        ),
    )


async def _capabilities(harness: Harness) -> dict[str, Capabilities]:
    namespace = f"conformance-{os.getpid()}-header"
    stores = await harness.open(namespace)
    try:
        names = {field.name: getattr(stores, field.name) for field in attrs.fields(type(stores))}
        return {name: storage.capabilities for name, storage in names.items() if storage is not None}
    finally:
        await stores.close()
        await harness.destroy(namespace)


def _distribution(backend: str) -> str:
    for listing in list_backends():
        if listing.name == backend and listing.distribution:
            return f"{listing.distribution} {listing.version}"
    try:
        return f"{backend} {version(backend)}"
    except PackageNotFoundError:
        return backend


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
