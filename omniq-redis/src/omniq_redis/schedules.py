"""The schedule storage role on Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.storage.limits import check_schedule
from omniq.storage.schedules import ScheduleStorage
from omniq_redis.batches import in_chunks
from omniq_redis.records import body_from, pack, pack_body, unpack
from omniq_redis.role import RedisRole

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.storage.schedules import Advance

__all__ = ["RedisScheduleStorage", "advance_values"]


class RedisScheduleStorage(RedisRole, ScheduleStorage):
    """Schedules in a hash."""

    async def put(
        self, schedule: Schedule, *, expected_version: int | None = None, now: int | None = None
    ) -> Schedule | None:
        check_schedule(schedule, self.capabilities)
        expected = False if expected_version is None else expected_version
        stored = await self.opened.run("put_schedule", [schedule.id, _values(schedule), expected], now=now)
        return None if stored is None else attrs.evolve(schedule, version=stored[0], created_at=stored[1])

    async def get(self, ids: Sequence[str]) -> list[Schedule | None]:
        found = await in_chunks(self.opened, "get_schedules", ids)
        return [_schedule(schedule_id, values) for schedule_id, values in zip(ids, found, strict=True)]

    async def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        found: list[Schedule] = []
        cursor: str | bool = False if after is None else after
        while len(found) < limit:
            pairs = await self.opened.run("list_schedules", [cursor, limit - len(found)])
            found += _schedules(pairs)
            if not pairs:
                break
            cursor = found[-1].id
        return found

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        return await in_chunks(self.opened, "delete_schedules", ids)

    async def due(self, limit: int = 100, *, now: int | None = None) -> builtins.list[Schedule]:
        return _schedules(await self.opened.run("due_schedules", limit, now=now))

    async def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        return await in_chunks(self.opened, "advance_schedules", [advance_values(step) for step in advances])

    async def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._set_paused(ids, 1)

    async def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._set_paused(ids, 0)

    async def next_due(self) -> int | None:
        at: int | bool | None = await self.opened.run("next_due", None)
        return None if at is False or at is None else at

    async def time(self) -> int:
        at: int = await self.opened.run("time", None)
        return at

    async def _set_paused(self, ids: Sequence[str], paused: int) -> builtins.list[Schedule | None]:
        found = await in_chunks(self.opened, "pause_schedules", ids, paused)
        return [_schedule(schedule_id, values) for schedule_id, values in zip(ids, found, strict=True)]


def advance_values(step: Advance) -> tuple[Any, ...]:
    """Return an advance as the scripts take it."""
    return (
        step.id,
        step.expected_version,
        False if step.next_run is None else step.next_run,
        False if step.last_run is None else step.last_run,
        step.fired,
    )


def _values(schedule: Schedule) -> tuple[Any, ...]:
    definition = pack(
        (
            schedule.kind.value,
            pack_body(schedule.body),
            schedule.cron,
            schedule.zone,
            schedule.interval_ms,
            schedule.queue,
            schedule.priority,
            schedule.max_attempts,
            schedule.expires_in_ms,
            schedule.misfire.value,
            schedule.grace_ms,
            schedule.jitter_ms,
            schedule.max_runs,
        )
    )
    return (
        0,
        0,
        False if schedule.next_run is None else schedule.next_run,
        False if schedule.last_run is None else schedule.last_run,
        schedule.runs,
        int(schedule.paused),
        definition,
    )


def _schedules(pairs: Sequence[Any]) -> list[Schedule]:
    found = (_schedule(schedule_id.decode(), values) for schedule_id, values in pairs)
    return [schedule for schedule in found if schedule is not None]


def _schedule(schedule_id: str, values: Any) -> Schedule | None:
    if not values:
        return None
    version, created_at, next_run, last_run, runs, paused, definition = values
    (
        kind, body, cron, zone, interval_ms, queue, priority, max_attempts, expires_in_ms, misfire, grace_ms, jitter_ms,
        max_runs,
    ) = unpack(definition)  # fmt: skip
    return Schedule(
        id=schedule_id,
        kind=ScheduleKind(kind.decode()),
        body=body_from(body),
        cron=None if cron is None else cron.decode(),
        zone=zone.decode(),
        interval_ms=interval_ms,
        queue=queue.decode(),
        priority=priority,
        max_attempts=max_attempts,
        expires_in_ms=expires_in_ms,
        misfire=MisfirePolicy(misfire.decode()),
        grace_ms=grace_ms,
        jitter_ms=jitter_ms,
        max_runs=max_runs,
        next_run=None if next_run is False else next_run,
        last_run=None if last_run is False else last_run,
        runs=runs,
        paused=bool(paused),
        version=version,
        created_at=created_at,
    )
