"""The schedule storage role on NATS."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import attrs

from omniq.errors import StoreFormatError
from omniq.storage.limits import check_schedule
from omniq.storage.schedules import ScheduleStorage
from omniq_nats.feed import scan
from omniq_nats.firing import advanced, complete, dump_schedule, firing_of, load_schedule
from omniq_nats.jetstream import CONFLICT, Message, Progress, Write
from omniq_nats.role import NatsRole

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Sequence

    from omniq.models.schedule import Schedule
    from omniq.storage.schedules import Advance

__all__ = ["NatsScheduleStorage"]


class NatsScheduleStorage(NatsRole, ScheduleStorage):
    """Schedules by id, each a message; there are few, so whatever has another order reads them all."""

    async def put(
        self, schedule: Schedule, *, expected_version: int | None = None, now: int | None = None
    ) -> Schedule | None:
        check_schedule(schedule, self.capabilities)
        at = await self.opened.time(now)

        def change(old: Schedule | None) -> Schedule | None:
            if expected_version is not None and expected_version != (0 if old is None else old.version):
                return None
            if old is None:
                return attrs.evolve(schedule, version=at, created_at=at)
            return attrs.evolve(schedule, version=old.version + 1, created_at=old.created_at)

        return await self.whole(self._change(schedule.id, change, Progress()))

    async def get(self, ids: Sequence[str]) -> list[Schedule | None]:
        self.opened.check_open()
        if not ids:
            return []
        return [load_schedule(message) for message in await self._last(ids)]

    async def list(self, *, after: str | None = None, limit: int = 100) -> builtins.list[Schedule]:
        found = [each for each in await self._all() if after is None or each.id > after]
        found.sort(key=lambda each: each.id)
        return found[: max(limit, 0)]

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        return await self.whole(self._delete(ids))

    async def _delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        progress = Progress()
        return [await self._delete_one(schedule_id, progress) for schedule_id in ids]

    async def _delete_one(self, schedule_id: str, progress: Progress) -> bool:
        store = self.shared
        subject = store.names.schedule(schedule_id)
        while True:
            message = await self._completed(schedule_id, progress)
            if message is None or not message.payload:
                return False
            (rev,) = await store.jetstream.write([Write(subject, message.rev, b"", is_only=True)], progress)
            if rev != CONFLICT:
                return True

    async def due(self, limit: int = 100, *, now: int | None = None) -> builtins.list[Schedule]:
        at = await self.opened.time(now)
        found = [
            (each.next_run, each.id, each)
            for each in await self._all()
            if not each.paused and each.next_run is not None and each.next_run <= at
        ]
        found.sort(key=lambda each: each[:2])
        return [each for _, _, each in found[: max(limit, 0)]]

    async def advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        return await self.whole(self._advance(advances))

    async def _advance(self, advances: Sequence[Advance]) -> builtins.list[bool]:
        self.opened.check_open()
        progress = Progress()

        def advancing(step: Advance) -> Callable[[Schedule | None], Schedule | None]:
            return lambda old: advanced(old, step)

        return [await self._change(step.id, advancing(step), progress) is not None for step in advances]

    async def pause(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self.whole(self._set_paused(ids, paused=True))

    async def resume(self, ids: Sequence[str]) -> builtins.list[Schedule | None]:
        return await self.whole(self._set_paused(ids, paused=False))

    async def next_due(self) -> int | None:
        found = (each.next_run for each in await self._all() if not each.paused and each.next_run is not None)
        return min(found, default=None)

    async def _set_paused(self, ids: Sequence[str], *, paused: bool) -> builtins.list[Schedule | None]:
        self.opened.check_open()
        progress = Progress()

        def change(old: Schedule | None) -> Schedule | None:
            if old is None or old.paused is paused:
                return None
            return attrs.evolve(old, version=old.version + 1, paused=paused)

        return [await self._change(schedule_id, change, progress) for schedule_id in ids]

    async def _change(
        self, schedule_id: str, change: Callable[[Schedule | None], Schedule | None], progress: Progress
    ) -> Schedule | None:
        """Store what becomes of a schedule, unless nothing does; return what was stored."""
        store = self.opened
        while True:
            message = await self._completed(schedule_id, progress)
            new = change(load_schedule(message))
            if new is None:
                return None
            expected = 0 if message is None else message.rev
            write = Write(store.names.schedule(schedule_id), expected, dump_schedule(new), is_only=True)
            (rev,) = await store.jetstream.write([write], progress)
            if rev != CONFLICT:
                return new

    async def _completed(self, schedule_id: str, progress: Progress) -> Message | None:
        """Return the message of a schedule, once its last fire is complete."""
        while True:
            (message,) = await self._last([schedule_id])
            if message is None or firing_of(message) is None:
                return message
            await complete(self.shared, self.shared.names.schedule(schedule_id), message, progress)

    async def _last(self, ids: Sequence[str]) -> builtins.list[Message | None]:
        await self.opened.settled()
        return await self.shared.jetstream.last([self.shared.names.schedule(schedule_id) for schedule_id in ids])

    async def _all(self) -> builtins.list[Schedule]:
        store = self.opened
        await store.settled()
        found: dict[bytes, Schedule | None] = {}
        subject = f"{store.names.prefix}.s.>"
        async with contextlib.aclosing(scan(store.jetstream, store.names.log, subject)) as messages:
            async for message in messages:  # of a schedule there may be older ones, which are about to be deleted
                try:
                    found[message.subject] = load_schedule(Message(message.rev, message.payload, 0))
                except StoreFormatError:
                    store.view.damaged.add(message.rev)  # the others go on
                    found[message.subject] = None
        return [schedule for schedule in found.values() if schedule is not None]
