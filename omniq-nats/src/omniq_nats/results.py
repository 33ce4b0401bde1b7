"""The result storage role on NATS.

An outcome is a message of its own, or part of the task's message if the queue has joined this role; the later of the
two counts.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from omniq.storage.limits import check_results
from omniq.storage.results import ResultStorage
from omniq_nats.codec import Slot, load_slot, mark, pack, result_from, result_values, unpack
from omniq_nats.feed import scan
from omniq_nats.jetstream import CONFLICT, Progress, Write
from omniq_nats.role import NatsRole

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.result import ResultRecord
    from omniq_nats.jetstream import Message

__all__ = ["NatsResultStorage"]

_SEQ, _EPOCH, _EXPIRES_AT = 1, 2, 9


class _Found:
    """What is stored for an id: the slot of the task, and the message of the outcome."""

    __slots__ = ("message", "slot", "values")

    def __init__(self, slot: Slot | None, message: Message | None) -> None:
        self.slot = slot
        self.message = message
        own = None if message is None else unpack(message.payload)[0]
        joined = None if slot is None else slot.result
        self.values = own if joined is None or (own is not None and _order(own) >= _order(joined)) else joined


class NatsResultStorage(NatsRole, ResultStorage):
    """Outcomes by id."""

    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> builtins.list[bool]:
        return await self.whole(self._put(records, now=now))

    async def _put(self, records: Sequence[ResultRecord], *, now: int | None) -> builtins.list[bool]:
        check_results(records, self.capabilities)
        at = await self.opened.time(now)
        answers = [False] * len(records)
        progress = Progress()
        todo = list(range(len(records)))
        while todo:
            wave: builtins.list[int] = []
            later: builtins.list[int] = []
            ids: set[str] = set()
            for index in todo:
                (later if records[index].id in ids else wave).append(index)
                ids.add(records[index].id)
            await self._put_wave(records, wave, answers, at, progress)
            todo = later
        return answers

    async def _put_wave(
        self,
        records: Sequence[ResultRecord],
        wave: builtins.list[int],
        answers: builtins.list[bool],
        now: int,
        progress: Progress,
    ) -> None:
        """Put records of which no two have an id in common."""
        while wave:
            found = await self._find([records[index].id for index in wave])
            writes, places = [], []
            for index, stored in zip(wave, found, strict=True):
                record = records[index]
                if stored.values is not None and _order(stored.values) > record.order:
                    continue
                expected = 0 if stored.message is None else stored.message.rev
                payload = pack((result_values(record, now), mark()))
                writes.append(Write(self.shared.names.result(record.id), expected, payload))
                places.append(index)
            revs = await self.shared.jetstream.write(writes, progress) if writes else []
            wave = []
            for index, rev in zip(places, revs, strict=True):
                if rev == CONFLICT:
                    wave.append(index)
                else:
                    answers[index] = True

    async def get(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[ResultRecord | None]:
        if not ids:
            self.opened.check_open()
            return []
        at = await self.opened.time(now)
        return [
            result_from(each.values) if each.values is not None and _lasts(each.values, at) else None
            for each in await self._find(ids)
        ]

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        return await self.whole(self._delete(ids))

    async def _delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        self.opened.check_open()
        progress = Progress()
        return [await self._delete_one(task_id, None, progress) for task_id in ids]

    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        at = await self.opened.time(now)
        found = await self._all()
        ids = sorted(task_id for task_id in found if after is None or task_id > after)
        return [result_from(found[task_id]) for task_id in ids if _lasts(found[task_id], at)][: max(limit, 0)]

    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        return await self.whole(self._purge_expired(limit, now=now))

    async def _purge_expired(self, limit: int, *, now: int | None) -> int:
        at = await self.opened.time(now)
        due = [values for values in (await self._all()).values() if not _lasts(values, at)]
        due.sort(key=lambda values: (values[_EXPIRES_AT], values[0]))
        progress = Progress()
        gone = 0
        for values in due[: max(limit, 0)]:
            gone += await self._delete_one(values[0], at, progress)
        return gone

    async def _delete_one(self, task_id: str, expired_at: int | None, progress: Progress) -> bool:
        """Remove an outcome, if it is still expired by then, from both places where it may be."""
        store = self.shared
        while True:
            (found,) = await self._find([task_id])
            if found.values is None or (expired_at is not None and _lasts(found.values, expired_at)):
                return False
            if found.slot is not None and found.slot.result is not None:
                made = found.slot.copy()
                made.result = None
                if not all(await store.put([made], progress)):
                    continue
            if found.message is not None:
                (was_there,) = await store.jetstream.delete(store.names.keys, [found.message.rev], progress)
                if not was_there:
                    continue
            return True

    async def _find(self, ids: Sequence[str]) -> builtins.list[_Found]:
        names = self.shared.names
        subjects = [names.task(task_id) for task_id in ids] + [names.result(task_id) for task_id in ids]
        messages = await self.shared.jetstream.last(subjects)
        found = []
        for task_id, head, own in zip(ids, messages[: len(ids)], messages[len(ids) :], strict=True):
            slot = None if head is None else load_slot(head.payload, head.rev)
            found.append(_Found(slot if slot is not None and slot.id == task_id else None, own))
        return found

    async def _all(self) -> dict[str, Sequence[Any]]:
        """Return the outcomes of all ids."""
        store = self.shared
        found: dict[str, Sequence[Any]] = {}
        subject = f"{store.names.prefix}.r.>"
        async with contextlib.aclosing(scan(store.jetstream, store.names.keys, subject)) as messages:
            async for message in messages:
                values = unpack(message.payload)[0]
                found[values[0]] = values
        for slot in await self._slots():
            if slot.result is not None:
                other = found.get(slot.id)
                if other is None or _order(other) < _order(slot.result):
                    found[slot.id] = slot.result
        return found

    async def _slots(self) -> builtins.list[Slot]:
        store = self.shared
        subject = f"{store.names.prefix}.l.*.h"
        async with contextlib.aclosing(scan(store.jetstream, store.names.log, subject, is_latest=True)) as messages:
            return [load_slot(message.payload, message.rev) async for message in messages]


def _order(values: Sequence[Any]) -> tuple[int, int]:
    return values[_SEQ], values[_EPOCH]


def _lasts(values: Sequence[Any], now: int) -> bool:
    expires_at = values[_EXPIRES_AT]
    return expires_at is None or expires_at > now
