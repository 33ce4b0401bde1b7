"""The schedule storage role on LMDB."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from omniq.storage.limits import check_schedule
from omniq.storage.schedules import ScheduleStorage
from omniq_lmdb.codec import dump_schedule, load_schedule, name_key
from omniq_lmdb.role import LmdbRole
from omniq_lmdb.store import host_time

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Sequence

    from omniq.models.schedule import Schedule
    from omniq.storage.schedules import Advance
    from omniq_lmdb.store import Transaction

__all__ = ["LmdbScheduleStorage", "advance_schedule"]


def advance_schedule(tx: Transaction, step: Advance) -> bool:
    """Move a schedule on if its version is the expected one."""
    old = _stored(tx, step.id)
    if old is None or old.version != step.expected_version:
        return False
    last_run = old.last_run if step.last_run is None else step.last_run
    _change(tx, old, next_run=step.next_run, last_run=last_run, runs=old.runs + step.fired)
    return True


class LmdbScheduleStorage(LmdbRole, ScheduleStorage):
    """Schedules by id; there are few, so whatever has another order sorts them."""

    async def put(
        self, schedule: Schedule, *, expected_version: int | None = None, now: int | None = None
    ) -> Schedule | None:
        check_schedule(schedule, self.capabilities)

        def run(tx: Transaction) -> Schedule | None:
            old = _stored(tx, schedule.id)
            if expected_version is not None and expected_version != (0 if old is None else old.version):
                return None
            if old is not None:
                return _change(tx, schedule, version=old.version + 1, created_at=old.created_at)
            at = host_time() if now is None else now
            return _change(tx, schedule, version=at, created_at=at)

        return await self._write(run)

    async def get(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._read(lambda tx: [_stored(tx, schedule_id) for schedule_id in ids])

    async def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        start = b"" if after is None else name_key(after) + b"\0"
        return await self._read(lambda tx: list(islice(_all(tx, start), max(limit, 0))))

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        return await self._write(lambda tx: [tx.delete("schedules", name_key(schedule_id)) for schedule_id in ids])

    async def due(self, limit: int = 100, *, now: int | None = None) -> builtins.list[Schedule]:
        def run(tx: Transaction) -> list[Schedule]:
            at = host_time() if now is None else now
            found = [(each.next_run, each.id, each) for each in _waiting(tx) if each.next_run is not None]
            due = sorted((run, key, each) for run, key, each in found if run <= at)
            return [each for _, _, each in due[: max(limit, 0)]]

        return await self._read(run)

    async def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        return await self._write(lambda tx: [advance_schedule(tx, step) for step in advances])

    async def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._write(lambda tx: [_set_paused(tx, schedule_id, paused=True) for schedule_id in ids])

    async def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._write(lambda tx: [_set_paused(tx, schedule_id, paused=False) for schedule_id in ids])

    async def next_due(self) -> int | None:
        return await self._read(
            lambda tx: min((each.next_run for each in _waiting(tx) if each.next_run is not None), default=None)
        )


def _stored(tx: Transaction, schedule_id: str) -> Schedule | None:
    data = tx.get("schedules", name_key(schedule_id))
    return None if data is None else load_schedule(data)


def _all(tx: Transaction, start: bytes = b"") -> Iterator[Schedule]:
    return (load_schedule(value) for _, value in tx.scan("schedules", start))


def _waiting(tx: Transaction) -> Iterator[Schedule]:
    return (each for each in _all(tx) if not each.paused)


def _change(tx: Transaction, schedule: Schedule, **values: Any) -> Schedule:
    changed = attrs.evolve(schedule, **{"version": schedule.version + 1, **values})
    tx.put("schedules", name_key(schedule.id), dump_schedule(changed))
    return changed


def _set_paused(tx: Transaction, schedule_id: str, *, paused: bool) -> Schedule | None:
    old = _stored(tx, schedule_id)
    return None if old is None or old.paused is paused else _change(tx, old, paused=paused)
