"""The event storage role on NATS: the log's messages that are entries, in their order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError, StorageError
from omniq.storage.events import EventStorage
from omniq_nats.codec import event_from, event_values, load_slot, pack, unpack
from omniq_nats.feed import Feed, scan
from omniq_nats.jetstream import CONFLICT, Progress, Write
from omniq_nats.role import NatsRole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from omniq.models.event import Event, EventFilter
    from omniq_nats.feed import Delivered

__all__ = ["NatsEventStorage"]

_WINDOW = 1000
_MOST = 1 << 62
_LOOK_AGAIN = 1.0
_ROUNDS = 10


class NatsEventStorage(NatsRole, EventStorage):
    """Entries are messages of events that were appended, and the messages of tasks whose queue has joined this role."""

    async def append(self, events: Sequence[Event]) -> int:
        return await self.whole(self._append(events))

    async def _append(self, events: Sequence[Event]) -> int:
        store, progress = self.opened, Progress()
        new: dict[str, Event] = {}
        for event in events:
            new.setdefault(event.event_id, event)
        for event_id in await self._logged(list(new.values())):
            del new[event_id]
        writes = [
            Write(store.names.event(event.task_id, event.seq, event.version), 0, pack(event_values(event)))
            for event in new.values()
        ]
        revs = await store.jetstream.write(writes, progress) if writes else []
        for rev in revs:
            if rev != CONFLICT:
                store.wrote(rev)
        return sum(rev != CONFLICT for rev in revs)

    async def _logged(self, events: Sequence[Event]) -> set[str]:
        """Return which events are in messages of their tasks."""
        names, jetstream = self.shared.names, self.shared.jetstream
        ids = list(dict.fromkeys(event.task_id for event in events if event.seq))
        heads = await jetstream.last([names.task(task_id) for task_id in ids]) if ids else []
        known: set[str] = set()
        for task_id, head in zip(ids, heads, strict=True):
            if head is None or not load_slot(head.payload, head.rev).is_logged:
                continue
            subject = names.task(task_id)
            async with contextlib.aclosing(scan(jetstream, names.log, subject)) as messages:
                async for message in messages:
                    event = _event(message)
                    if event is not None:
                        known.add(event.event_id)
        return known & {event.event_id for event in events}

    async def read(
        self, *, after: str | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[Event]:
        place = None if after is None else _place(after)
        await self.opened.settled()
        if limit <= 0:
            return []
        if not desc:
            return await self._page((place or 0) + 1, None, limit, filter)
        end = await self.shared.last_rev() if place is None else place - 1
        found: list[Event] = []
        window = _WINDOW
        while end > 0 and len(found) < limit:
            first = max(end - window + 1, 1)
            page = await self._page(first, end, _MOST, filter)
            found += reversed(page)
            end, window = first - 1, window * 2
        return found[:limit]

    async def _page(self, first: int, end: int | None, limit: int, where: EventFilter | None) -> list[Event]:
        found: list[Event] = []
        if end is not None and end < first:
            return found
        names = self.shared.names
        subject = f"{names.prefix}.l.>" if where is None or where.task_id is None else names.of_task(where.task_id)
        async with contextlib.aclosing(
            scan(self.shared.jetstream, names.log, subject, first=first, end=end)
        ) as messages:
            async for message in messages:
                event = _event(message)
                if event is not None and (where is None or where.matches(event)):
                    found.append(event)
                    if len(found) >= limit:
                        break
        return found

    def tail(self, *, after: str | None = None, filter: EventFilter | None = None) -> AsyncIterator[Event]:
        return self._tail(None if after is None else _place(after), filter)

    async def _tail(self, place: int | None, where: EventFilter | None) -> AsyncIterator[Event]:
        store = self.opened
        if place is None:
            place = await store.last_rev()
        came: asyncio.Queue[Delivered] = asyncio.Queue()
        seen = place

        def take(message: Delivered) -> None:
            nonlocal seen
            if message.rev > seen:
                seen = message.rev
                came.put_nowait(message)

        def going_on() -> dict[str, Any]:
            subject = f"{store.names.prefix}.l.>"
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": seen + 1, "filter_subject": subject}

        feed = Feed(store.jetstream, store.names.log, take, going_on)
        feed.start()
        try:
            while self.is_open and store.is_open:
                try:
                    async with asyncio.timeout(_LOOK_AGAIN):
                        message = await came.get()
                except TimeoutError:
                    continue
                event = _event(message)
                if event is not None and (where is None or where.matches(event)):
                    yield event
        finally:
            await feed.stop()

    async def trim(self, before: int, limit: int = 1000) -> int:
        return await self.whole(self._trim(before, limit))

    async def _trim(self, before: int, limit: int) -> int:
        store, progress = self.opened, Progress()
        old: list[Delivered] = []
        if limit <= 0:
            return 0
        subject = f"{store.names.prefix}.l.>"
        async with contextlib.aclosing(scan(store.jetstream, store.names.log, subject)) as messages:
            async for message in messages:
                event = _event(message)
                if event is not None and event.at < before:
                    old.append(message)
                    if len(old) >= limit:
                        break
        gone = 0
        for message in old:
            gone += await self._remove(message, progress)
        await self._free([message.subject.decode() for message in old if message.subject.endswith(b".h")], progress)
        return gone

    async def _free(self, subjects: Sequence[str], progress: Progress) -> None:
        """Note of tasks without any entry left that their messages need not stay."""
        store = self.shared
        for _ in range(_ROUNDS):
            subjects = list(dict.fromkeys(subjects))
            firsts, lasts = await store.jetstream.first(subjects), await store.jetstream.last(subjects)
            made, old, again = [], [], []
            for subject, first, last in zip(subjects, firsts, lasts, strict=True):
                if first is None or last is None or load_slot(first.payload, first.rev).entry is not None:
                    continue
                slot = load_slot(last.payload, last.rev)
                if first.rev != last.rev:
                    old.append(first.rev)  # it was to be deleted, and that has not come to the server
                    again.append(subject)
                elif slot.is_logged:
                    slot = slot.copy()
                    slot.is_logged = False
                    made.append(slot)
            await store.jetstream.delete(store.names.log, old, progress)
            await store.put(made, progress)  # who was quicker has written an entry, which will be removed in its turn
            subjects = again
            if not subjects:
                return

    async def _remove(self, message: Delivered, progress: Progress) -> bool:
        """Remove an entry; a message that is a task's last one is written again without it."""
        store = self.shared
        if message.subject.endswith(b".h"):
            slot = load_slot(message.payload, message.rev)
            while True:
                (last,) = await store.load([slot.id])
                if last.rev != message.rev:
                    break
                made = last.copy()
                made.spare = 0
                if all(await store.put([made], progress)):
                    break
        (was_there,) = await store.jetstream.delete(store.names.log, [message.rev], progress)
        return was_there


def _event(message: Delivered) -> Event | None:
    """Return the event that a message of the log is the entry of, or None."""
    try:
        if message.subject.endswith(b".h"):
            entry = load_slot(message.payload, message.rev).entry
            return None if entry is None else event_from(entry, message.rev, str(message.rev))
        return event_from(unpack(message.payload), 0, str(message.rev))
    except (StorageError, ValueError, TypeError):
        return None


def _place(position: str) -> int:
    if not position.isascii() or not position.isdigit():
        raise ConfigError(
            f"after: {position!r} is not a position of this event storage; pass an Event.position that it gave."
        )
    return int(position)
