"""The schedule storage role on SQLite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.storage.limits import check_schedule
from omniq.storage.schedules import ScheduleStorage
from omniq_sqlite.connection import host_time
from omniq_sqlite.role import SQLiteRole
from omniq_sqlite.rows import BODY_COLUMNS, body_from, body_values

if TYPE_CHECKING:
    import builtins
    import sqlite3
    from collections.abc import Sequence

    from omniq.storage.schedules import Advance

__all__ = ["SQLiteScheduleStorage", "advance"]

_FIELDS = (
    "id", "version", "next_run", "paused", "last_run", "runs", "created_at", "kind", "cron", "zone", "interval_ms",
    "queue", "priority", "max_attempts", "expires_in_ms", "misfire", "grace_ms", "jitter_ms", "max_runs",
)  # fmt: skip
_COLUMNS = f"{', '.join(_FIELDS)}, {BODY_COLUMNS}"
_SELECT = f"SELECT {_COLUMNS} FROM schedule"
_PUT = f"INSERT OR REPLACE INTO schedule ({_COLUMNS}) VALUES ({', '.join('?' * (_COLUMNS.count(',') + 1))})"


class SQLiteScheduleStorage(SQLiteRole, ScheduleStorage):
    """Schedules in the table `schedule`."""

    async def put(
        self, schedule: Schedule, *, expected_version: int | None = None, now: int | None = None
    ) -> Schedule | None:
        check_schedule(schedule, self.capabilities)
        return await self.opened.write(
            lambda connection: _put(connection, schedule, expected_version, host_time() if now is None else now)
        )

    async def get(self, ids: Sequence[str]) -> list[Schedule | None]:
        rows = await self.opened.read(
            f"{_SELECT} WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
        )
        found = {schedule.id: schedule for schedule in map(_schedule, rows)}
        return [found.get(schedule_id) for schedule_id in ids]

    async def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        rows = await self.opened.read(
            f"{_SELECT} WHERE (:after IS NULL OR id > :after) ORDER BY id LIMIT :limit",
            {"after": after, "limit": limit},
        )
        return [_schedule(row) for row in rows]

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        return await self.opened.write(
            lambda connection: [
                connection.execute("DELETE FROM schedule WHERE id = ?", (schedule_id,)).rowcount > 0
                for schedule_id in ids
            ]
        )

    async def due(self, limit: int = 100, *, now: int | None = None) -> builtins.list[Schedule]:
        rows = await self.opened.read(
            f"{_SELECT} WHERE paused = 0 AND next_run <= ? ORDER BY next_run, id LIMIT ?",
            (host_time() if now is None else now, limit),
        )
        return [_schedule(row) for row in rows]

    async def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        return await self.opened.write(lambda connection: [advance(connection, step) for step in advances])

    async def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self.opened.write(lambda connection: [_set_paused(connection, one, 1) for one in ids])

    async def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self.opened.write(lambda connection: [_set_paused(connection, one, 0) for one in ids])

    async def next_due(self) -> int | None:
        ((at,),) = await self.opened.read(
            "SELECT min(next_run) FROM schedule WHERE paused = 0 AND next_run IS NOT NULL"
        )
        return None if at is None else int(at)

    async def time(self) -> int:
        return host_time()


def advance(connection: sqlite3.Connection, step: Advance) -> bool:
    """Move a schedule on if its version is the expected one."""
    changed = connection.execute(
        "UPDATE schedule SET version = version + 1, next_run = ?, last_run = coalesce(?, last_run), runs = runs + ? "
        "WHERE id = ? AND version = ?",
        (step.next_run, step.last_run, step.fired, step.id, step.expected_version),
    )
    return changed.rowcount > 0


def _put(connection: sqlite3.Connection, schedule: Schedule, expected: int | None, now: int) -> Schedule | None:
    row = connection.execute("SELECT version, created_at FROM schedule WHERE id = ?", (schedule.id,)).fetchone()
    if expected is not None and expected != (0 if row is None else row[0]):
        return None
    version, created_at = (now, now) if row is None else (row[0] + 1, row[1])
    stored = attrs.evolve(schedule, version=version, created_at=created_at)
    values = [getattr(stored, name) for name in _FIELDS]
    connection.execute(_PUT, [*values, *body_values(stored.body)])
    return stored


def _set_paused(connection: sqlite3.Connection, schedule_id: str, paused: int) -> Schedule | None:
    changed = connection.execute(
        "UPDATE schedule SET paused = ?, version = version + 1 WHERE id = ? AND paused <> ?",
        (paused, schedule_id, paused),
    )
    if changed.rowcount == 0:
        return None
    return _schedule(connection.execute(f"{_SELECT} WHERE id = ?", (schedule_id,)).fetchone())


def _schedule(row: Sequence[Any]) -> Schedule:
    fields = dict(zip(_FIELDS, row, strict=False))
    fields["kind"] = ScheduleKind(fields["kind"])
    fields["misfire"] = MisfirePolicy(fields["misfire"])
    fields["paused"] = bool(fields["paused"])
    return Schedule(body=body_from(row[len(_FIELDS) :]), **fields)
