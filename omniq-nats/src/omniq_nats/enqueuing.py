"""New tasks: one burst of writes, each of which must be the first of its subject."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from omniq.models.record import Enqueued
from omniq_nats.codec import Slot, apart_values, body_values, pack
from omniq_nats.jetstream import Write
from omniq_nats.names import token
from omniq_nats.unique import GONE, Openings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import TaskSpec
    from omniq_nats.jetstream import Progress
    from omniq_nats.tasks import Tasks

__all__ = ["Enqueuing", "parts_of"]

_INLINE = 1024
"""Bytes of a body that are written with the head; larger ones have a message of their own."""
_HEADER = 64
_LOOK_UP = 16
"""So many tasks are looked up before they are written: their order is that of the batch, whatever a purge left."""


class Enqueuing:
    """Adds tasks of which no two have an id or a key in common.

    Args:
        tasks: What else is done with tasks.
        specs: The tasks.
        now: The time of the call.
        progress: Of the call.
        ended: The task whose next run this is; its key is free.
    """

    def __init__(
        self, tasks: Tasks, specs: Sequence[TaskSpec], now: int, progress: Progress, ended: str | None
    ) -> None:
        self._tasks = tasks
        self._store = tasks.store
        self._specs = specs
        self._now = now
        self._progress = progress
        self._openings = Openings(tasks, now, progress, ended)
        self._answers: dict[int, Enqueued] = {}
        self._olds: dict[str, Slot] = {}
        self._places: dict[str, tuple[str, int]] = {}

    async def run(self) -> list[Enqueued]:
        """Do it, and return the answers."""
        await self._look()
        await self._find_holders()
        todo = [index for index in range(len(self._specs)) if index not in self._answers]
        await self._write_bodies([self._specs[index] for index in todo])
        while todo:
            todo = await self._create(sorted(todo))
        if self._places:
            await self._delete_unused()
        return [self._answers[index] for index in range(len(self._specs))]

    async def _look(self) -> None:
        """Find out what has to be known of ids before tasks are made of them."""
        known = self._store.view.slots if self._store.is_attached else {}
        is_small = not known and 1 < len(self._specs) <= _LOOK_UP
        ask = []
        for spec in self._specs:
            slot = known.get(spec.id) if known else None
            if slot is not None and slot.row is None:
                self._olds[spec.id] = slot
            elif slot is not None or spec.unique_key is not None or spec.pinned or is_small:
                ask.append(spec.id)
        if ask:
            await self._load(ask)

    async def _load(self, ids: Sequence[str]) -> None:
        self._olds.update((slot.id, slot) for slot in await self._store.load(ids))

    async def _find_holders(self) -> None:
        """Answer for tasks whose keys are held."""
        keyed = [
            (index, spec.queue, spec.unique_key)
            for index, spec in enumerate(self._specs)
            if spec.unique_key is not None and not self._is_there(spec.id)
        ]
        if keyed:
            looks = (self._openings.holder(queue, key, ends_expired=True) for _, queue, key in keyed)
            for (index, _, _), (holder, _) in zip(keyed, await asyncio.gather(*looks), strict=True):
                if holder is not None:
                    self._answers[index] = Enqueued(holder.id, created=False)

    def _is_there(self, task_id: str) -> bool:
        slot = self._olds.get(task_id)
        return slot is not None and slot.is_visible

    async def _create(self, todo: Sequence[int]) -> list[int]:
        """Write what can be written; return the places of those that have to be looked at again."""
        made: dict[int, Slot] = {}
        for index in todo:
            slot = await self._made(self._specs[index])
            if slot is None:
                self._answers[index] = Enqueued(self._specs[index].id, created=False)
            else:
                made[index] = slot
        if not made:
            return []
        done = await self._store.put(list(made.values()), self._progress)
        missed, staged = [], []
        for (index, slot), is_done in zip(made.items(), done, strict=True):
            if not is_done:
                missed.append(index)
                continue
            self._answers[index] = Enqueued(slot.id, created=True)
            if slot.stage is not None:
                staged.append((index, slot))
        if staged:
            missed += await self._open(staged)
        if missed:
            await self._load([self._specs[index].id for index in missed])
        return missed

    async def _open(self, staged: Sequence[tuple[int, Slot]]) -> list[int]:
        """Open tasks with keys; return the places of those that are to be made again."""
        missed = []
        holders = await asyncio.gather(*(self._openings.open(slot) for _, slot in staged))
        for (index, _), holder_id in zip(staged, holders, strict=True):
            if holder_id == GONE:
                missed.append(index)
            elif holder_id is not None:
                self._answers[index] = Enqueued(holder_id, created=False)
        return missed

    async def _made(self, spec: TaskSpec) -> Slot | None:
        """Return what is to be written for a task; None if its id is known."""
        old = self._olds.get(spec.id)
        if old is not None and old.row is not None and not old.is_visible:
            await self._openings.open(old)  # which somebody else began
            await self._load([spec.id])
            old = self._olds[spec.id]
        if old is not None and old.is_visible:
            return None
        place = self._places.get(spec.id)
        body = body_values(spec.body) if place is None else apart_values(spec.body, place[0])
        return self._tasks.steps.create(spec, body, self._now, old or Slot(spec.id))

    # Bodies

    async def _write_bodies(self, specs: Sequence[TaskSpec]) -> None:
        """Write the bodies that are too large for a head."""
        large = [
            spec
            for spec in specs
            if len(spec.body.args) + len(spec.body.kwargs) + _HEADER * len(spec.body.headers) > _INLINE
        ]
        if large:
            places = [f"{token(spec.id)}.{secrets.token_hex(6)}" for spec in large]
            writes = [
                Write(self._store.names.body(place), 0, pack(body_values(spec.body)))
                for spec, place in zip(large, places, strict=True)
            ]
            revs = await self._store.jetstream.write(writes, self._progress)
            self._places = {spec.id: (place, rev) for spec, place, rev in zip(large, places, revs, strict=True)}

    async def _delete_unused(self) -> None:
        """Delete the bodies of tasks that were not created."""
        unused = [
            self._places[spec.id][1]
            for index, spec in enumerate(self._specs)
            if spec.id in self._places and not self._answers[index].created
        ]
        if unused:
            await self._store.jetstream.delete(self._store.names.keys, unused, self._progress)


def parts_of(specs: Sequence[TaskSpec]) -> list[Sequence[TaskSpec]]:
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
