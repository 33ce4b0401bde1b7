"""Tasks, changed by compare-and-set: what several operations of the queue share."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from omniq.models.record import Enqueued
from omniq.storage import transitions
from omniq_nats.codec import SEQ, UNIQUE_KEY, UNREADABLE, Slot, apart_values, body_from, body_of, body_values, pack, place_of, unpack
from omniq_nats.jetstream import Write
from omniq_nats.names import token
from omniq_nats.steps import Steps, following_spec
from omniq_nats.unique import GONE, Openings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.config import Role
    from omniq.models.record import TaskBody, TaskSpec
    from omniq_nats.jetstream import Progress
    from omniq_nats.store import Store

__all__ = ["Change", "Tasks"]

T = TypeVar("T")

_INLINE = 1024
"""Bytes of a body that are written with the head; larger ones have a message of their own."""
_LOOK_UP = 16
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
        self.steps = Steps(joined)

    # Any change

    async def change(
        self, changes: Sequence[Change], now: int, progress: Progress, *, is_fresh: bool
    ) -> list[Any]:
        """Make changes, several of one task one after the other, and return the answers.

        Args:
            changes: What is to be done.
            now: The time of the call.
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
        known = self.store.view.slots if self.store.is_attached else {}
        slots: dict[int, Slot] = {}
        sure: set[int] = set()
        unknown = []
        for index in wave:
            slot = known.get(changes[index].id)
            if slot is not None:
                slots[index] = slot
            elif is_fresh:
                slots[index] = Slot(changes[index].id)
            else:
                unknown.append(index)
        if is_fresh:
            sure.update(wave)
        while wave:
            if unknown:
                loaded = await self.store.load([changes[index].id for index in unknown])
                slots.update(zip(unknown, loaded, strict=True))
                sure.update(unknown)
                unknown = []
            made: list[Slot] = []
            places: list[int] = []
            for index in wave:
                new, answer = changes[index].decide(slots[index])
                if new is not None:
                    answers[index] = answer
                    made.append(new)
                    places.append(index)
                elif index in sure:
                    answers[index] = answer
                else:
                    unknown.append(index)
            done = await self.store.put(made, progress) if made else []
            ended = [new for new, is_done in zip(made, done, strict=True) if is_done and new.following is not None]
            unknown += [index for index, is_done in zip(places, done, strict=True) if not is_done]
            if ended:
                ended = [new for new in ended if new.stage is None]
                await self.finish(ended, self._now_of(ended), progress)
            wave = unknown

    def _now_of(self, slots: Sequence[Slot]) -> int:
        return slots[0].following[1] if slots and slots[0].following is not None else 0

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
            await self.finish(ends, now, progress)
            view.unfinished.difference_update(
                task_id for task_id in tuple(view.unfinished) if not _is_unfinished(view.slots.get(task_id))
            )

    async def finish(self, slots: Sequence[Slot], now: int, progress: Progress) -> None:
        """Make the next runs that the ends of some tasks promised, and note that they are made."""
        del now
        for slot in slots:
            assert slot.row is not None
            assert slot.following is not None
            (body,) = await self.bodies([slot])
            await self.enqueue([following_spec(slot, body)], slot.following[1], progress, ended=slot.id)
            made = slot.copy()
            made.following = None
            await self.store.put([made], progress)

    async def end_expired(self, slot: Slot, now: int, progress: Progress) -> None:
        """End a task that waited for too long, unless somebody was quicker."""
        ended = self.steps.change(slot, lambda record: transitions.expire(record, now), now)
        assert ended is not None
        (is_done,) = await self.store.put([ended], progress)
        if is_done and ended.following is not None:
            await self.finish([ended], now, progress)

    # Bodies

    async def bodies(self, slots: Sequence[Slot]) -> list[TaskBody]:
        """Return the bodies of tasks; what cannot be decoded is shown as `UNREADABLE`."""
        found: list[TaskBody | None] = []
        apart: list[str] = []
        for slot in slots:
            assert slot.row is not None
            place = place_of(slot.row)
            if place is not None:
                apart.append(self.store.names.body(place))
                found.append(None)
            else:
                found.append(body_of(slot.row))
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
        for part in _parts(specs):
            answers += await self._enqueue_part(part, now, progress, ended)
        return answers

    async def _enqueue_part(
        self, specs: Sequence[TaskSpec], now: int, progress: Progress, ended: str | None
    ) -> list[Enqueued]:
        """Add tasks of which no two have an id or a key in common."""
        answers: list[Enqueued | None] = [None] * len(specs)
        olds = await self._olds(specs)
        openings = Openings(self, now, progress, ended)
        keyed = [index for index, spec in enumerate(specs) if spec.unique_key is not None]
        keyed = [index for index in keyed if not _is_there(olds.get(specs[index].id))]
        if keyed:
            looks = (openings.holder(specs[i].queue, str(specs[i].unique_key), ends_expired=True) for i in keyed)
            for index, (holder, _) in zip(keyed, await asyncio.gather(*looks), strict=True):
                if holder is not None:
                    answers[index] = Enqueued(holder.id, created=False)
        places = await self._write_bodies(
            [spec for spec, answer in zip(specs, answers, strict=True) if answer is None], progress
        )
        todo = [index for index, answer in enumerate(answers) if answer is None]
        while todo:
            made, indexes = [], []
            for index in sorted(todo):
                spec = specs[index]
                old = olds.get(spec.id) or Slot(spec.id)
                if old.row is not None and not old.is_visible:
                    await openings.open(old)
                    (old,) = await self.store.load([spec.id])
                    olds[spec.id] = old
                if _is_there(old):
                    answers[index] = Enqueued(spec.id, created=False)
                    continue
                place = places.get(spec.id)
                body = body_values(spec.body) if place is None else apart_values(spec.body, place[0])
                made.append(self.steps.create(spec, body, now, old))
                indexes.append(index)
            done = await self.store.put(made, progress) if made else []
            missed = [index for index, is_done in zip(indexes, done, strict=True) if not is_done]
            staged = []
            for index, slot, is_done in zip(indexes, made, done, strict=True):
                if is_done:
                    answers[index] = Enqueued(slot.id, created=True)
                    if slot.stage is not None:
                        staged.append((index, slot))
            if staged:
                holders = await asyncio.gather(*(openings.open(slot) for _, slot in staged))
                for (index, _), holder_id in zip(staged, holders, strict=True):
                    if holder_id == GONE:
                        missed.append(index)
                    elif holder_id is not None:
                        answers[index] = Enqueued(holder_id, created=False)
            if missed:
                loaded = await self.store.load([specs[index].id for index in missed])
                olds.update((slot.id, slot) for slot in loaded)
            todo = missed
        if places:
            unused = [
                place[1]
                for spec, answer in zip(specs, answers, strict=True)
                if answer is not None and not answer.created and (place := places.get(spec.id)) is not None
            ]
            if unused:
                await self.store.jetstream.delete(self.store.names.keys, unused, progress)
        return answers  # type: ignore[return-value] # all were answered

    async def _olds(self, specs: Sequence[TaskSpec]) -> dict[str, Slot]:
        """Return what is known or has to be known of ids before tasks are made of them."""
        known = self.store.view.slots if self.store.is_attached else {}
        olds: dict[str, Slot] = {}
        is_small = 1 < len(specs) <= _LOOK_UP
        ask = []
        for spec in specs:
            slot = known.get(spec.id) if known else None
            if slot is not None and slot.row is None:
                olds[spec.id] = slot
            elif slot is not None or spec.unique_key is not None or spec.pinned or (is_small and not known):
                ask.append(spec.id)
        if ask:
            olds.update((slot.id, slot) for slot in await self.store.load(ask))
        return olds

    async def _write_bodies(self, specs: Sequence[TaskSpec], progress: Progress) -> dict[str, tuple[str, int]]:
        """Write the bodies that are too large for a head; return where each is, and the number of its message."""
        large = [
            spec
            for spec in specs
            if len(spec.body.args) + len(spec.body.kwargs) + 64 * len(spec.body.headers) > _INLINE
        ]
        if not large:
            return {}
        places = [f"{token(spec.id)}.{secrets.token_hex(6)}" for spec in large]
        writes = [
            Write(self.store.names.body(place), 0, pack(body_values(spec.body)))
            for spec, place in zip(large, places, strict=True)
        ]
        revs = await self.store.jetstream.write(writes, progress)
        return {spec.id: (place, rev) for spec, place, rev in zip(large, places, revs, strict=True)}

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
            row = slot.row
            assert row is not None
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


def _is_there(slot: Slot | None) -> bool:
    return slot is not None and slot.is_visible


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


def _parts(specs: Sequence[TaskSpec]) -> list[Sequence[TaskSpec]]:
    """Return the batch in parts in which no id and no key is twice."""
    parts: list[Sequence[TaskSpec]] = []
    ids: set[str] = set()
    keys: set[tuple[str, str]] = set()
    start = 0
    for end, spec in enumerate(specs):
        key = None if spec.unique_key is None else (spec.queue, spec.unique_key)
        if spec.id in ids or (key is not None and key in keys):
            parts.append(specs[start:end])
            start, ids, keys = end, set(), set()
        ids.add(spec.id)
        if key is not None:
            keys.add(key)
    parts.append(specs[start:])
    return [part for part in parts if part]


