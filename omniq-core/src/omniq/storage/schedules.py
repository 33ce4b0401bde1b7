"""The schedule storage role."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import attrs

from omniq.storage.role import Storage

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.schedule import Schedule

__all__ = ["Advance", "ScheduleStorage"]


@attrs.frozen(kw_only=True)
class Advance:
    """Move a schedule on after its due fire times were handled; applied only if its version is still the expected.

    Attributes:
        id: The schedule.
        expected_version: The version that the fire times were computed from.
        next_run: The next nominal fire time; None ends the schedule.
        last_run: The latest nominal fire time that was enqueued, or None if none was.
        fired: How many fire times were enqueued; added to `runs`.
    """

    id: str
    expected_version: int
    next_run: int | None
    last_run: int | None = None
    fired: int = 0


class ScheduleStorage(Storage):
    """Schedules and their next fire time. Every change is a compare-and-set on `version`.

    Fire times are computed by the core, never by an engine.
    """

    @abstractmethod
    async def put(
        self, schedule: Schedule, *, expected_version: int | None = None, now: int | None = None
    ) -> Schedule | None:
        """Store a definition.

        Args:
            schedule: What to store; its `version` and `created_at` are ignored.
            expected_version: The stored version that it replaces, 0 for "there is none yet", None for "whatever is
                there".
            now: Milliseconds since the epoch; becomes `created_at` of a new schedule.

        Returns:
            The stored schedule with its new version, or None if the expected version is not the stored one. The
            version is one more than the replaced one's; a new schedule starts at `created_at`, so that the event ids
            of a schedule that was deleted and made again do not repeat.
        """

    @abstractmethod
    async def get(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        """Return each schedule, None for an unknown id."""

    @abstractmethod
    async def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        """Return the schedules with id > `after`, by id in code point order, at most `limit`."""

    @abstractmethod
    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        """Remove schedules; True for each that was there."""

    @abstractmethod
    async def due(self, limit: int = 100, *, now: int | None = None) -> builtins.list[Schedule]:
        """Return the schedules that are not paused and have next_run <= now, by (next_run, id). Nothing changes."""

    @abstractmethod
    async def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        """Apply each advance whose expected version is the stored one; version + 1. False: nothing changed."""

    @abstractmethod
    async def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        """Pause; the changed schedule (version + 1), or None for an unknown id or one that is paused already."""

    @abstractmethod
    async def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        """Resume; the changed schedule (version + 1), or None for an unknown id or one that is not paused."""

    @abstractmethod
    async def next_due(self) -> int | None:
        """Return the smallest `next_run` of the schedules that are not paused, None if there is none."""

    @abstractmethod
    async def time(self) -> int:
        """Return the store's clock in milliseconds since the epoch, UTC."""
