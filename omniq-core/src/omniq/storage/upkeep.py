"""What a backend may offer to operators beside its roles, and the findings of `omniq doctor`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Finding", "Severity", "Upkeep"]


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen
class Finding:
    """One line of `omniq doctor`; the hook `omniq_doctor_checks` returns some.

    Attributes:
        name: What was looked at, such as `redis eviction`.
        severity: An error makes the doctor's exit code 1; a warning does not.
        message: What was found, with the value.
        remedy: What to do about it; empty if nothing is.
    """

    name: str
    severity: Severity = attrs.field(converter=Severity)
    message: str
    remedy: str = ""


@runtime_checkable
class Upkeep(Protocol):
    """What a task queue offers whose store is one file or folder of this host."""

    async def backup(self, destination: Path) -> None:
        """Write a consistent copy of the whole store to a path that does not exist yet, while it is in use.

        Raises:
            FileExistsError: There is something at the path.
            StorageError: The copy failed; what was written of it is removed.
        """
        ...

    async def integrity(self) -> list[str]:
        """Return what is damaged in the store, one sentence each; empty if nothing is. Reads all of it."""
        ...
