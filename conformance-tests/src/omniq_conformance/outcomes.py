"""How the run of a case ends, and the exceptions that say so. Nothing is ever merely skipped."""

from __future__ import annotations

from enum import StrEnum

import attrs

__all__ = ["DivergenceError", "Outcome", "Status", "UnsupportedError", "UnverifiedError", "VacuousError"]


class Status(StrEnum):
    """The verdict on one case."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    ERROR = "error"
    """The harness or the suite broke."""
    UNSUPPORTED = "unsupported"
    """The backend declares that it lacks this, and refused it as documented."""
    UNVERIFIED = "unverified"
    """This environment cannot tell; the reason says what is missing."""
    VACUOUS = "vacuous"
    """It ran, but what it is there to see never happened. Not a pass."""

    @property
    def is_good(self) -> bool:
        """Whether a suite with this verdict may be green."""
        return self not in {Status.FAIL, Status.ERROR, Status.VACUOUS}


class DivergenceError(AssertionError):
    """The backend did something else than the contract says."""


class VacuousError(AssertionError):
    """Something that the case is there to see never happened."""


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
    """

    id: str
    status: Status
    reason: str = ""
    error: BaseException | None = None
    duration: float = 0.0
