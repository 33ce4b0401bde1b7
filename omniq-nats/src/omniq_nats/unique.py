"""Unique keys, without transactions: a task is staged, its key's record names it, then it becomes visible.

The record of a key names one opening of one task: its id, its seq and the number of the opening. The key is held while
that task is live or about to be. Nobody takes a key over from an opening that is staged: it is completed first. Whoever
is late finds that its own compare-and-set fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.status import TERMINAL
from omniq.storage import transitions
from omniq_nats.codec import ENQUEUED_AT, EPOCH, QUEUE, SEQ, STATE, STATES, UNIQUE_KEY, VERSION, Slot, pack, unpack
from omniq_nats.jetstream import CONFLICT, Write
from omniq_nats.steps import is_expired

if TYPE_CHECKING:
    from omniq_nats.jetstream import Message, Progress
    from omniq_nats.tasks import Tasks

__all__ = ["GONE", "Openings"]

GONE = ""
_OPEN, _GONE, _STAGED = range(3)


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
                await self._tasks.finish([slot], self._progress)
            elif STATES[slot.row[STATE]] in TERMINAL:
                return None, message
            elif ends_expired and is_expired(slot, self._now):
                await self._tasks.end_expired(slot, self._now, self._progress)
            else:
                return slot, message

    async def open(self, slot: Slot) -> str | None:
        """Open a staged task.

        A new task that cannot be opened is removed, an ended one stays as it was.

        Returns:
            None if it is open, by whomever; the id of the task that holds its key; or `GONE` if somebody else found
            such a task, and gave up.
        """
        row = slot.head
        mine = (slot.id, row[SEQ], slot.stage)
        while True:
            holder, message = await self.holder(row[QUEUE], row[UNIQUE_KEY], ends_expired=row[VERSION] == 0)
            if holder is not None and holder.id != slot.id:
                is_open = not await self._give_up(slot) and await self._became(slot) == _OPEN
                return None if is_open else holder.id
            if holder is None and (message is None or tuple(unpack(message.payload)[:3]) != mine):
                subject = self._store.names.unique(row[QUEUE], row[UNIQUE_KEY])
                expected = 0 if message is None else message.rev
                (rev,) = await self._store.jetstream.write([Write(subject, expected, pack(mine))], self._progress)
                if rev == CONFLICT:
                    continue
                if await self._finish(slot):
                    return None
            became = await self._became(slot)
            if became != _STAGED:
                return None if became == _OPEN else GONE

    async def _became(self, slot: Slot) -> int:
        """Tell what others made of a staged task."""
        staged = slot.head
        (found,) = await self._store.load([slot.id])
        if found.row is None:
            # A task that lived and was purged has no mark.
            return _OPEN if found.stage is None and found.rev else _GONE
        if found.row[SEQ] != staged[SEQ]:
            return _GONE
        if found.stage is not None and found.stage == slot.stage:
            return _STAGED
        return _OPEN if staged[VERSION] == 0 or found.row[EPOCH] > staged[EPOCH] else _GONE

    async def _finish(self, slot: Slot) -> bool:
        """Make a task live whose key's record names its opening, unless somebody else was quicker."""
        made = slot.copy()
        if slot.head[VERSION] == 0:
            self._tasks.steps.open(made, slot.head[ENQUEUED_AT])
        else:
            now = self._now if slot.following is None else slot.following[1]
            made = self._tasks.steps.change(slot, lambda record: transitions.redrive(record, now), now) or made
            made.stage = made.following = None
        (is_done,) = await self._store.put([made], self._progress)
        return is_done

    async def _give_up(self, slot: Slot) -> bool:
        made = slot.copy()
        made.stage = made.following = None
        if slot.row is not None and slot.row[VERSION] == 0:
            made.row, made.stage = None, slot.row[SEQ]
        (is_done,) = await self._store.put([made], self._progress)
        return is_done
