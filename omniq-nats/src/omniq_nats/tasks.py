"""Tasks, changed by compare-and-set: what several operations of the queue share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from omniq.storage import transitions
from omniq_nats.codec import (
    SEQ,
    UNIQUE_KEY,
    UNREADABLE,
    Slot,
    body_from,
    body_of,
    place_of,
    unpack,
)
from omniq_nats.enqueuing import Enqueuing, parts_of
from omniq_nats.steps import Steps, following_spec
from omniq_nats.unique import Openings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.config import Role
    from omniq.models.record import Enqueued, TaskBody, TaskSpec
    from omniq_nats.jetstream import Progress
    from omniq_nats.store import Store

__all__ = ["Change", "Tasks"]

T = TypeVar("T")

_HELP = 500


class Change(NamedTuple):
    """What is to be done with one task.

    Attributes:
        id: The task.
        decide: Is given what is stored, and returns what is to be stored, or None, and the answer of the call.
    """

    id: str
    decide: Callable[[Slot], tuple[Slot | None, Any]]


class Tasks:
    """Works on the tasks of a store.

    Args:
        store: The store.
        joined: The roles that are served by the task's own message.
    """

    def __init__(self, store: Store, joined: frozenset[Role]) -> None:
        self.store = store
        self.joined = joined
        self.steps = Steps(joined)

    # Any change

    async def change(self, changes: Sequence[Change], progress: Progress, *, is_fresh: bool) -> list[Any]:
        """Make changes, several of one task one after the other, and return the answers.

        Args:
            changes: What is to be done.
            progress: Of the call.
            is_fresh: Whether the view was made fresh for this call; else, what is known is only tried.
        """
        answers: list[Any] = [None] * len(changes)
        for wave in _waves([change.id for change in changes]):
            await self._change_wave(changes, wave, answers, progress, is_fresh=is_fresh)
        return answers

    async def _change_wave(
        self, changes: Sequence[Change], wave: list[int], answers: list[Any], progress: Progress, *, is_fresh: bool
    ) -> None:
        slots, unknown = self._known(changes, wave, is_fresh=is_fresh)
        sure = set(wave) if is_fresh else set()
        while wave:
            if unknown:
                loaded = await self.store.load([changes[index].id for index in unknown])
                slots.update(zip(unknown, loaded, strict=True))
                sure.update(unknown)
                unknown = []
            made: dict[int, Slot] = {}
            for index in wave:
                new, answers[index] = changes[index].decide(slots[index])
                if new is not None:
                    made[index] = new
                elif index not in sure:
                    unknown.append(index)
            if made:
                unknown += await self._put(made, progress)
            wave = unknown

    def _known(
        self, changes: Sequence[Change], wave: list[int], *, is_fresh: bool
    ) -> tuple[dict[int, Slot], list[int]]:
        """Return what is known of the tasks, and the places of those of which nothing is."""
        known = self.store.view.slots if self.store.is_attached else {}
        slots: dict[int, Slot] = {}
        unknown = []
        for index in wave:
            slot = known.get(changes[index].id)
            if slot is not None or is_fresh:
                slots[index] = slot or Slot(changes[index].id)
            else:
                unknown.append(index)
        return slots, unknown

    async def _put(self, made: dict[int, Slot], progress: Progress) -> list[int]:
        """Write slots, with the next runs that follow from them; return the places of those that had been changed."""
        done = dict(zip(made, await self.store.put(list(made.values()), progress), strict=True))
        ended = [new for index, new in made.items() if done[index] and new.following is not None and new.stage is None]
        if ended:
            await self.finish(ended, progress)
        return [index for index in made if not done[index]]

    # Steps that others began

    async def help(self, now: int, progress: Progress) -> None:
        """Complete what the view shows as begun."""
        view = self.store.view
        for _ in range(_HELP):
            slots = [slot for slot in map(view.slots.get, view.unfinished) if slot is not None and slot.is_unfinished]
            if not slots:
                return
            openings = Openings(self, now, progress)
            await asyncio.gather(*(openings.open(slot) for slot in slots if slot.stage is not None))
            ends = [slot for slot in slots if slot.following is not None and slot.stage is None]
            await self.finish(ends, progress)
            view.unfinished.difference_update(
                task_id for task_id in tuple(view.unfinished) if not _is_unfinished(view.slots.get(task_id))
            )

    async def finish(self, slots: Sequence[Slot], progress: Progress) -> None:
        """Make the next runs that the ends of some tasks promised, and note that they are made."""
        for slot in slots:
            (body,) = await self.bodies([slot])
            await self.enqueue([following_spec(slot, body)], (slot.following or (0, 0))[1], progress, ended=slot.id)
            made = slot.copy()
            made.following = None
            await self.store.put([made], progress)

    async def end_expired(self, slot: Slot, now: int, progress: Progress) -> None:
        """End a task that waited for too long, unless somebody was quicker."""
        ended = self.steps.change(slot, lambda record: transitions.expire(record, now), now)
        if ended is None:
            return
        (is_done,) = await self.store.put([ended], progress)
        if is_done and ended.following is not None:
            await self.finish([ended], progress)

    # Bodies

    async def bodies(self, slots: Sequence[Slot]) -> list[TaskBody]:
        """Return the bodies of tasks; what cannot be decoded is shown as `UNREADABLE`."""
        found: list[TaskBody | None] = []
        apart: list[str] = []
        for slot in slots:
            place = place_of(slot.head)
            if place is not None:
                apart.append(self.store.names.body(place))
                found.append(None)
            else:
                found.append(body_of(slot.head))
        if not apart:
            return found  # type: ignore[return-value] # none is None
        messages = iter(await self.store.jetstream.last(apart))
        return [_body(next(messages)) if body is None else body for body in found]

    # New tasks

    async def enqueue(
        self, specs: Sequence[TaskSpec], now: int, progress: Progress, *, ended: str | None = None
    ) -> list[Enqueued]:
        """Add tasks.

        Args:
            specs: The tasks.
            now: The time of the call.
            progress: Of the call.
            ended: The task whose next run this is; its key is free.
        """
        answers: list[Enqueued] = []
        for part in parts_of(specs):
            answers += await Enqueuing(self, part, now, progress, ended).run()
        return answers

    # Ended tasks

    async def remove(self, slots: Sequence[Slot], progress: Progress) -> list[Slot]:
        """Remove ended tasks, unless somebody changed them; return those that were removed."""
        made = []
        for slot in slots:
            left = slot.copy()
            left.row = None
            made.append(left)
        done = await self.store.put(made, progress)
        gone = [slot for slot, is_done in zip(slots, done, strict=True) if is_done]
        await self._clear(gone, progress)
        return gone

    async def _clear(self, slots: Sequence[Slot], progress: Progress) -> None:
        """Delete what removed tasks had beside their heads: large bodies, and records of unique keys."""
        names = self.store.names
        subjects: list[tuple[str, tuple[Any, ...] | None]] = []
        for slot in slots:
            row = slot.head
            place = place_of(row)
            if place is not None:
                subjects.append((names.body(place), None))
            if row[UNIQUE_KEY] is not None:
                subjects.append((names.unique(row[4], row[UNIQUE_KEY]), (slot.id, row[SEQ])))
        if not subjects:
            return
        found = await self.store.jetstream.last([subject for subject, _ in subjects])
        revs = [
            message.rev
            for (_, owner), message in zip(subjects, found, strict=True)
            if message is not None and (owner is None or tuple(unpack(message.payload)[:2]) == owner)
        ]
        await self.store.jetstream.delete(names.keys, revs, progress)


def _is_unfinished(slot: Slot | None) -> bool:
    return slot is not None and slot.is_unfinished


def _body(message: Any) -> TaskBody:
    try:
        return body_from(unpack(message.payload))
    except (ValueError, TypeError, KeyError, AttributeError):
        return UNREADABLE


def _waves(ids: Sequence[str]) -> list[list[int]]:
    """Return the places of items in groups, in which no id is twice."""
    if len(set(ids)) == len(ids):
        return [list(range(len(ids)))]
    waves: list[list[int]] = []
    seen: dict[str, int] = {}
    for index, task_id in enumerate(ids):
        number = seen[task_id] = seen.get(task_id, -1) + 1
        if number == len(waves):
            waves.append([])
        waves[number].append(index)
    return waves
