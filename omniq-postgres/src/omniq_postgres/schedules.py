"""The schedule storage role on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.storage.limits import check_schedule
from omniq.storage.schedules import ScheduleStorage
from omniq_postgres.role import PostgresRole
from omniq_postgres.rows import body_from, body_values, columns
from omniq_postgres.texts import given, kept

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.storage.schedules import Advance

__all__ = ["PostgresScheduleStorage", "advance_values"]

_FIELDS = (
    "id", "next_run", "paused", "last_run", "runs", "kind", "cron", "zone", "interval_ms", "queue", "priority",
    "max_attempts", "expires_in_ms", "misfire", "grace_ms", "jitter_ms", "max_runs",
)  # fmt: skip
_BODY = ("func", "codec", "headers", "timeout_ms", "result_ttl_ms", "args", "kwargs")
_GIVEN = (*_FIELDS, *_BODY)
_COLUMNS = ", ".join(("version", "created_at", *_GIVEN))
_SELECT = f"SELECT {_COLUMNS} FROM omniq.schedule"
_PUT = (
    f"WITH old AS (SELECT id FROM omniq.schedule WHERE id = $1 FOR UPDATE) "
    f"INSERT INTO omniq.schedule AS s (version, created_at, {', '.join(_GIVEN)}) "
    f"SELECT at, at, {', '.join(f'${number}' for number in range(1, len(_GIVEN) + 1))} "
    f"FROM omniq.now_ms(${len(_GIVEN) + 2}) AS at "
    f"WHERE coalesce(${len(_GIVEN) + 1}::bigint, 0) = 0 OR EXISTS (SELECT FROM old) "
    f"ON CONFLICT (id) DO UPDATE SET version = s.version + 1, "
    f"{', '.join(f'{name} = excluded.{name}' for name in _GIVEN[1:])} "
    f"WHERE ${len(_GIVEN) + 1}::bigint IS NULL OR s.version = ${len(_GIVEN) + 1} "
    "RETURNING version, created_at"
)


class PostgresScheduleStorage(PostgresRole, ScheduleStorage):
    """Schedules in the table `schedule`."""

    async def put(
        self, schedule: Schedule, *, expected_version: int | None = None, now: int | None = None
    ) -> Schedule | None:
        check_schedule(schedule, self.capabilities)
        rows = await self.opened.write(_PUT, *_values(schedule), expected_version, now)
        if not rows:
            return None
        ((version, created_at),) = rows
        return attrs.evolve(schedule, version=version, created_at=created_at)

    async def get(self, ids: Sequence[str]) -> list[Schedule | None]:
        rows = await self.opened.read(f"{_SELECT} WHERE id = ANY ($1)", [kept(each) for each in ids])
        found = {schedule.id: schedule for schedule in map(_schedule, rows)}
        return [found.get(schedule_id) for schedule_id in ids]

    async def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        rows = await self.opened.read(
            f"{_SELECT} WHERE id > $1 ORDER BY id LIMIT $2", "" if after is None else kept(after), limit
        )
        return [_schedule(row) for row in rows]

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        rows = await self.opened.write(
            "DELETE FROM omniq.schedule WHERE id = ANY ($1) RETURNING id", [kept(each) for each in ids]
        )
        gone = {given(row[0]): True for row in rows}
        return [gone.pop(schedule_id, False) for schedule_id in ids]

    async def due(self, limit: int = 100, *, now: int | None = None) -> builtins.list[Schedule]:
        rows = await self.opened.read(
            f"{_SELECT} WHERE NOT paused AND next_run <= omniq.now_ms($1) ORDER BY next_run, id LIMIT $2", now, limit
        )
        return [_schedule(row) for row in rows]

    async def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        rows = await self.opened.write(
            "SELECT omniq.advance_schedule(id, version, next_run, last_run, fired) "
            "FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) "
            "AS a (id, version, next_run, last_run, fired)",
            *columns(map(advance_values, advances), 5),
        )
        return [row[0] for row in rows]

    async def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._set_paused(ids, paused=True)

    async def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._set_paused(ids, paused=False)

    async def next_due(self) -> int | None:
        ((at,),) = await self.opened.read(
            "SELECT min(next_run) FROM omniq.schedule WHERE NOT paused AND next_run IS NOT NULL"
        )
        return None if at is None else int(at)

    async def time(self) -> int:
        return await self.opened.time()

    async def _set_paused(self, ids: Sequence[str], *, paused: bool) -> builtins.list[Schedule | None]:
        rows = await self.opened.write(
            "UPDATE omniq.schedule SET paused = $2, version = version + 1 WHERE id = ANY ($1) AND paused <> $2 "
            f"RETURNING {_COLUMNS}",
            [kept(each) for each in ids],
            paused,
        )
        changed = {schedule.id: schedule for schedule in map(_schedule, rows)}
        return [changed.pop(schedule_id, None) for schedule_id in ids]


def advance_values(step: Advance) -> tuple[Any, ...]:
    """Return what the function `advance_schedule` takes."""
    return kept(step.id), step.expected_version, step.next_run, step.last_run, step.fired


def _values(schedule: Schedule) -> list[Any]:
    values = [getattr(schedule, name) for name in _FIELDS]
    return [kept(str(each)) if isinstance(each, str) else each for each in values] + list(body_values(schedule.body))


def _schedule(row: Sequence[Any]) -> Schedule:
    version, created_at, *values = row
    fields = dict(zip(_FIELDS, values, strict=False))
    fields |= {name: given(value) for name, value in fields.items() if isinstance(value, str)}
    fields["kind"] = ScheduleKind(fields["kind"])
    fields["misfire"] = MisfirePolicy(fields["misfire"])
    return Schedule(version=version, created_at=created_at, body=body_from(values[len(_FIELDS) :]), **fields)
