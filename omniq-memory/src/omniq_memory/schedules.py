"""The schedule storage role in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.storage.limits import check_schedule
from omniq.storage.schedules import ScheduleStorage
from omniq_memory.handle import MemoryHandle

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.schedule import Schedule
    from omniq.storage.schedules import Advance

__all__ = ["MemoryScheduleStorage", "advance_schedule"]


def advance_schedule(schedules: dict[str, Schedule], advance: Advance) -> bool:
    """Apply an advance if its expected version is the stored one."""
    old = schedules.get(advance.id)
    if old is None or old.version != advance.expected_version:
        return False
    schedules[advance.id] = attrs.evolve(
        old,
        next_run=advance.next_run,
        last_run=old.last_run if advance.last_run is None else advance.last_run,
        runs=old.runs + advance.fired,
        version=old.version + 1,
    )
    return True


class MemoryScheduleStorage(MemoryHandle, ScheduleStorage):
    """Schedules in a dict; there are few, so whatever has an order sorts them."""

    async def put(
        self, schedule: Schedule, *, expected_version: int | None = None, now: int | None = None
    ) -> Schedule | None:
        state = self._state
        check_schedule(schedule, self._capabilities)
        with state.lock:
            old = state.schedules.get(schedule.id)
            if expected_version is not None and expected_version != (0 if old is None else old.version):
                return None
            if old is None:
                created_at = version = state.clock.now() if now is None else now
            else:
                created_at, version = old.created_at, old.version + 1
            stored = attrs.evolve(schedule, created_at=created_at, version=version)
            state.schedules[schedule.id] = stored
            return stored

    async def get(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        state = self._state
        with state.lock:
            return [state.schedules.get(schedule_id) for schedule_id in ids]

    async def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        state = self._state
        with state.lock:
            ids = sorted(key for key in state.schedules if after is None or key > after)
            return [state.schedules[key] for key in ids[:limit]]

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        state = self._state
        with state.lock:
            return [state.schedules.pop(schedule_id, None) is not None for schedule_id in ids]

    async def due(self, limit: int = 100, *, now: int | None = None) -> builtins.list[Schedule]:
        state = self._state
        with state.lock:
            at = state.clock.now() if now is None else now
            runs = [(each.next_run, each.id, each) for each in state.schedules.values() if not each.paused]
            due = sorted((run, key, each) for run, key, each in runs if run is not None and run <= at)
            return [each for _, _, each in due[:limit]]

    async def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        state = self._state
        with state.lock:
            return [advance_schedule(state.schedules, each) for each in advances]

    async def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return [self._set_paused(schedule_id, paused=True) for schedule_id in ids]

    async def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return [self._set_paused(schedule_id, paused=False) for schedule_id in ids]

    async def next_due(self) -> int | None:
        state = self._state
        with state.lock:
            runs = (each.next_run for each in state.schedules.values() if not each.paused)
            return min((run for run in runs if run is not None), default=None)

    async def time(self) -> int:
        return self._state.clock.now()

    def _set_paused(self, schedule_id: str, *, paused: bool) -> Schedule | None:
        state = self._state
        with state.lock:
            old = state.schedules.get(schedule_id)
            if old is None or old.paused is paused:
                return None
            changed = attrs.evolve(old, paused=paused, version=old.version + 1)
            state.schedules[schedule_id] = changed
            return changed
