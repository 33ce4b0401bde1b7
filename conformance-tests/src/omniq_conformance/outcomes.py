"""How the run of a case ends, and the exceptions that say so. Nothing is ever merely skipped."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

__all__ = [
    "DivergenceError",
    "HarnessError",
    "Outcome",
    "Status",
    "UnsupportedError",
    "UnverifiedError",
    "VacuousError",
    "named",
]


class Status(StrEnum):
    """The verdict on one case."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    ERROR = "error"
    """The harness broke: `HarnessError` says when that is certain."""
    KNOWN_ISSUE = "known-issue"
    """It failed, and the author declared that with a reason and an end."""
    UNSUPPORTED = "unsupported"
    """The backend declares that it lacks this, and refused it as documented."""
    UNVERIFIED = "unverified"
    """This environment cannot tell; the reason says what is missing."""
    VACUOUS = "vacuous"
    """It ran, but what it is there to see never happened. Not a pass."""
    PROVISIONAL = "provisional"
    """A case that is new in this release did not pass; from the next release on that will count."""

    @property
    def is_good(self) -> bool:
        """Whether a suite with this verdict may be green."""
        return self not in {Status.FAIL, Status.ERROR, Status.VACUOUS}


class DivergenceError(AssertionError):
    """The backend did something else than the contract says.

    Attributes:
        evidence: What else to note of the run, as JSON values.
    """

    def __init__(self, message: str = "", *, evidence: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.evidence: Mapping[str, Any] = evidence or {}


class HarnessError(Exception):
    """The harness broke, so nothing can be said of the backend.

    That is certain, and said, in these cases only: the first handle of a run cannot be opened, `open` returns something
    that is no `OpenedStores`, or `destroy` raises after a case that did not fail. Whatever else is raised may come from
    the backend, and is a failure.
    """


class VacuousError(AssertionError):
    """Something that the case is there to see never happened."""


def named(error: BaseException) -> str:
    """Return an exception as text: its class, its message and its notes."""
    message = f": {error}" if str(error) else ""
    return "\n".join([f"{type(error).__name__}{message}", *getattr(error, "__notes__", ())])


class UnsupportedError(Exception):
    """The backend declares that it lacks this, and refused it as documented."""


class UnverifiedError(Exception):
    """Whether the backend conforms cannot be told here."""


@attrs.frozen(kw_only=True)
class Outcome:
    """The verdict on one case.

    Attributes:
        id: The item's id, such as `OQ-Q-0101-joined`.
        status: The verdict.
        reason: Why it is not a pass; empty for a pass.
        error: The exception behind it, if any.
        duration: Seconds.
        evidence: What the case noted of its run, as JSON values: how often each thing was seen, how many points were
            enumerated.
    """

    id: str
    status: Status
    reason: str = ""
    error: BaseException | None = None
    duration: float = 0.0
    evidence: Mapping[str, Any] = attrs.field(factory=dict)
