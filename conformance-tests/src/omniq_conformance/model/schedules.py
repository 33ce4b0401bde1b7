"""The reference model of the schedule storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.schedule import Schedule
    from omniq.storage.schedules import Advance

__all__ = ["SchedulesModel"]


class SchedulesModel:
    """Answers every call of `ScheduleStorage`.

    Attributes:
        stored: Every schedule by id.
    """

    def __init__(self) -> None:
        self.stored: dict[str, Schedule] = {}

    def put(self, schedule: Schedule, *, expected_version: int | None = None, now: int) -> Schedule | None:
        """Answer `ScheduleStorage.put`."""
        old = self.stored.get(schedule.id)
        if expected_version is not None and expected_version != (old.version if old else 0):
            return None
        version, created_at = (old.version + 1, old.created_at) if old else (now, now)
        self.stored[schedule.id] = attrs.evolve(schedule, version=version, created_at=created_at)
        return self.stored[schedule.id]

    def get(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        """Answer `ScheduleStorage.get`."""
        return [self.stored.get(id) for id in ids]

    def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        """Answer `ScheduleStorage.list`."""
        return [self.stored[id] for id in sorted(self.stored) if after is None or id > after][:limit]

    def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        """Answer `ScheduleStorage.delete`."""
        return [self.stored.pop(id, None) is not None for id in ids]

    def due(self, limit: int = 100, *, now: int) -> builtins.list[Schedule]:
        """Answer `ScheduleStorage.due`."""
        waiting = [(s.next_run, s.id) for s in self.stored.values() if s.next_run is not None and not s.paused]
        return [self.stored[id] for next_run, id in sorted(waiting) if next_run <= now][:limit]

    def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        """Answer `ScheduleStorage.advance`."""
        return [self._advance(advance) for advance in advances]

    def _advance(self, advance: Advance) -> bool:
        old = self.stored.get(advance.id)
        if old is None or old.version != advance.expected_version:
            return False
        self.stored[advance.id] = attrs.evolve(
            old,
            version=old.version + 1,
            next_run=advance.next_run,
            last_run=old.last_run if advance.last_run is None else advance.last_run,
            runs=old.runs + advance.fired,
        )
        return True

    def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        """Answer `ScheduleStorage.pause`."""
        return [self._set_paused(id, paused=True) for id in ids]

    def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        """Answer `ScheduleStorage.resume`."""
        return [self._set_paused(id, paused=False) for id in ids]

    def _set_paused(self, id: str, *, paused: bool) -> Schedule | None:
        old = self.stored.get(id)
        if old is None or old.paused == paused:
            return None
        self.stored[id] = attrs.evolve(old, paused=paused, version=old.version + 1)
        return self.stored[id]

    def next_due(self) -> int | None:
        """Answer `ScheduleStorage.next_due`."""
        return min((s.next_run for s in self.stored.values() if s.next_run is not None and not s.paused), default=None)

    def deadlines(self) -> builtins.list[int]:
        """Return every next fire time, ascending."""
        return sorted({s.next_run for s in self.stored.values() if s.next_run is not None})
