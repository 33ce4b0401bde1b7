"""Failures that an author knows of: declared with a reason and an end, and never an excuse for anything else."""

from __future__ import annotations

import datetime as dt
import re

import attrs

__all__ = ["KnownIssue"]

_ID = re.compile(r"OQ-[QRESX]-\d{4}(-(separate|joined|results-joined|events-joined))?")
_BARE = len("OQ-Q-0412")


def _date(value: str | dt.date) -> dt.date:
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


@attrs.frozen
class KnownIssue:
    """One case that is known to fail.

    Its failure is reported as `known-issue`. Its pass is a failure, so that the declaration goes away with the fault,
    and so is every failure from `expires` on.

    Attributes:
        id: The case (`OQ-Q-0412`, in all its modes) or the item (`OQ-Q-0412-joined`).
        url: Where the issue is tracked.
        reason: What is wrong, in a sentence.
        expires: The first day on which it is no longer accepted, ISO 8601.
    """

    id: str = attrs.field()
    url: str = attrs.field()
    reason: str = attrs.field()
    expires: dt.date = attrs.field(converter=_date)

    @id.validator
    def _check_id(self, _attribute: object, value: str) -> None:
        if not _ID.fullmatch(value):
            msg = f"{value!r} is no case id. Give one such as OQ-Q-0412; `omniq-conformance list` shows them."
            raise ValueError(msg)

    @url.validator
    @reason.validator
    def _check_text(self, attribute: attrs.Attribute[str], value: str) -> None:
        if not value.strip():
            msg = f"The KnownIssue of {self.id} needs a {attribute.name}."
            raise ValueError(msg)

    def covers(self, item: str) -> bool:
        """Whether this is about the item of this id."""
        return item == self.id or (len(self.id) == _BARE and item.startswith(f"{self.id}-"))

    def is_over(self, today: dt.date) -> bool:
        """Whether it is no longer accepted."""
        return today >= self.expires
