"""Unique keys, without transactions: a task is staged, its key's record names it, then it becomes visible.

The record of a key names one opening of one task: its id, its seq and the number of the opening. The key is held while
that task is live or about to be. Nobody takes a key over from an opening that is staged: it is completed first. Whoever
is late finds that its own compare-and-set fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.status import TERMINAL
from omniq.storage import transitions
from omniq_nats.codec import QUEUE, SEQ, STATE, STATES, UNIQUE_KEY, VERSION, Slot, pack, unpack
from omniq_nats.jetstream import CONFLICT, Write
from omniq_nats.steps import is_expired

if TYPE_CHECKING:
    from omniq_nats.jetstream import Message, Progress
    from omniq_nats.tasks import Tasks

__all__ = ["Openings"]


class Openings:
    """Opens staged tasks, one at a time.

    Args:
        tasks: What else is done with tasks.
        now: The time of the call.
        progress: Of the call.
        ended: The task whose next run is opened; its key is free.
    """

    def __init__(self, tasks: Tasks, now: int, progress: Progress, ended: str | None = None) -> None:
        self._tasks = tasks
        self._store = tasks.store
        self._now = now
        self._progress = progress
        self._ended = ended

    async def holder(self, queue: str, key: str, *, ends_expired: bool) -> tuple[Slot | None, Message | None]:
        """Return the task that holds a key, or None, and the key's record.

        Args:
            queue: The key's queue.
            key: The key.
            ends_expired: End a holder that is expired.
        """
        while True:
            (message,) = await self._store.jetstream.last([self._store.names.unique(queue, key)])
            if message is None:
                return None, None
            task_id, seq, opening = unpack(message.payload)[:3]
            (slot,) = await self._store.load([task_id])
            if slot.row is None or slot.row[SEQ] != seq:
                return None, message
            if slot.stage is not None:
                if slot.stage != opening:
                    return None, message
                await self._finish(slot)
            elif slot.following is not None and slot.id != self._ended:
                await self._tasks.finish([slot], self._now, self._progress)
            elif STATES[slot.row[STATE]] in TERMINAL:
                return None, message
            elif ends_expired and is_expired(slot, self._now):
                await self._tasks.end_expired(slot, self._now, self._progress)
            else:
                return slot, message

    async def open(self, slot: Slot) -> str | None:
        """Open a staged task; return the id of the task that holds its key if it cannot be.

        A new task that cannot be opened is removed, an ended one stays as it was.
        """
        row = slot.row
        assert row is not None
        opening = slot.stage
        mine = (slot.id, row[SEQ], opening)
        while True:
            holder, message = await self.holder(row[QUEUE], row[UNIQUE_KEY], ends_expired=row[VERSION] == 0)
            if holder is not None:
                if holder.id == slot.id:
                    return None  # somebody else opened it
                return holder.id if await self._give_up(slot) else None
            if message is not None and tuple(unpack(message.payload)[:3]) == mine:
                if not await self._is_staged(slot):
                    return None
                continue
            subject = self._store.names.unique(row[QUEUE], row[UNIQUE_KEY])
            expected = 0 if message is None else message.rev
            (rev,) = await self._store.jetstream.write([Write(subject, expected, pack(mine))], self._progress)
            if rev != CONFLICT:
                await self._finish(slot)
                return None

    async def _is_staged(self, slot: Slot) -> bool:
        (found,) = await self._store.load([slot.id])
        return found.rev == slot.rev

    async def _finish(self, slot: Slot) -> None:
        """Make a task live whose key's record names its opening; somebody else may have been quicker."""
        assert slot.row is not None
        if slot.row[VERSION] == 0:
            made = slot.copy()
            self._tasks.steps.open(made, slot.row[14])
        else:
            now = slot.row[14] if slot.following is None else slot.following[1]
            changed = self._tasks.steps.change(slot, lambda record: transitions.redrive(record, now), now)
            assert changed is not None
            made = changed
            made.stage = made.following = None
        await self._store.put([made], self._progress)

    async def _give_up(self, slot: Slot) -> bool:
        made: Any = slot.copy()
        made.stage = made.following = None
        if slot.row is not None and slot.row[VERSION] == 0:
            made.row = None
        (is_done,) = await self._store.put([made], self._progress)
        return bool(is_done)
