"""The schedule storage role on files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.storage.limits import check_schedule
from omniq.storage.schedules import ScheduleStorage
from omniq_file.machine import schedules as machine
from omniq_file.machine.stored import UNREADABLE, StoredBody
from omniq_file.payloads import Outgoing, bodies_of
from omniq_file.role import FileRole

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.schedule import Schedule
    from omniq.storage.schedules import Advance

__all__ = ["FileScheduleStorage"]


class FileScheduleStorage(FileRole, ScheduleStorage):
    """Schedules by id."""

    async def put(
        self, schedule: Schedule, *, expected_version: int | None = None, now: int | None = None
    ) -> Schedule | None:
        store = self._check_open()
        check_schedule(schedule, store.capabilities)
        outgoing = Outgoing(store.engine)
        stored = attrs.evolve(schedule, body=outgoing.body(schedule.body))
        await outgoing.write()
        answer = await self._ask(
            lambda tx: machine.put_schedule(tx, stored, expected_version), now=now, writes=True, blobs=outgoing.names
        )
        return None if answer is None else attrs.evolve(answer, body=schedule.body)

    async def get(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._filled(await self._ask(lambda tx: [tx.view.schedules.get(each) for each in ids]))

    async def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        found = await self._ask(
            lambda tx: sorted(
                (each for each in tx.view.schedules.values() if after is None or each.id > after),
                key=lambda each: each.id,
            )[: max(limit, 0)]
        )
        return await self._there(found)

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        return await self._ask(lambda tx: [machine.delete_schedule(tx, each) for each in ids], writes=True)

    async def due(self, limit: int = 100, *, now: int | None = None) -> builtins.list[Schedule]:
        return await self._there(await self._ask(lambda tx: machine.due_schedules(tx.view, tx.now, limit), now=now))

    async def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        return await self._ask(lambda tx: [machine.advance_schedule(tx, each) for each in advances], writes=True)

    async def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._set_paused(ids, paused=True)

    async def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self._set_paused(ids, paused=False)

    async def next_due(self) -> int | None:
        return await self._ask(lambda tx: machine.next_due(tx.view))

    async def _set_paused(self, ids: Sequence[str], *, paused: bool) -> builtins.list[Schedule | None]:
        return await self._filled(
            await self._ask(lambda tx: [machine.set_paused(tx, each, paused=paused) for each in ids], writes=True)
        )

    async def _filled(self, schedules: Sequence[Schedule | None]) -> builtins.list[Schedule | None]:
        """Read the payloads that are not in the log."""
        there = [each for each in schedules if each is not None]
        if not any(type(each.body) is StoredBody for each in there):
            return [*schedules]
        bodies = await bodies_of(self._check_open().engine, (each.body for each in there))
        return [
            attrs.evolve(each, body=bodies.get(each.body.blob, UNREADABLE))
            if each is not None and type(each.body) is StoredBody
            else each
            for each in schedules
        ]

    async def _there(self, schedules: Sequence[Schedule]) -> builtins.list[Schedule]:
        return [each for each in await self._filled(schedules) if each is not None]
