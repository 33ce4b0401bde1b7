"""Mutants of the memory backend: concurrency, names and bodies, order, paging and lifetime."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.status import TaskStatus
from omniq.storage import transitions
from omniq_conformance.mutants.mutant import Mutants
from omniq_memory import schedules, task_queue, task_table
from omniq_memory.events import MemoryEventStorage
from omniq_memory.handle import MemoryHandle
from omniq_memory.results import MemoryResultStorage
from omniq_memory.schedules import MemoryScheduleStorage
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.record import TaskSpec

__all__ = ["MUTANTS"]

MUTANTS = Mutants("memory")


# Concurrency


@MUTANTS.broken("OQ-Q-02", MemoryTaskQueue, "claim")
async def a_claim_looks_first_and_takes_later(
    original: Any, self: Any, queues: Sequence[str], limit: int, *rest: Any, **more: Any
) -> Any:
    """Let others run between the look and the claim, and take what was seen even if they took it."""
    table = self._tasks
    now = self._state.clock.now()
    seen = [
        task
        for index in table.known(queues)
        for lane in index.ranked
        for task in lane
        if task.ready_at <= now and not index.paused
    ]
    await asyncio.sleep(0)
    for task in seen[:limit]:
        if task.state is TaskStatus.RUNNING:
            index = table.queues[task.queue]
            del index.running[task.seq]
            task.state = TaskStatus.PENDING
            index.lane(task.priority).push(task, now)
    return await original(self, queues, limit, *rest, **more)


# Names and bodies


def _changed(specs: Sequence[TaskSpec], change: Callable[[TaskSpec], dict[str, Any]]) -> list[TaskSpec]:
    return [attrs.evolve(spec, **change(spec)) for spec in specs]


@MUTANTS.broken("OQ-Q-0501", TaskTable, "enqueue")
def ids_are_folded(original: Any, self: TaskTable, specs: Any, *rest: Any) -> Any:
    """Take ids that differ in case only for the same."""
    return original(self, _changed(specs, lambda spec: {"id": spec.id.casefold()}), *rest)


@MUTANTS.broken("OQ-Q-0502", TaskTable, "enqueue")
def queue_names_are_stripped(original: Any, self: TaskTable, specs: Any, *rest: Any) -> Any:
    """Drop spaces around the names of queues."""
    return original(self, _changed(specs, lambda spec: {"queue": spec.queue.strip() or "-"}), *rest)


@MUTANTS.broken("OQ-Q-0503", TaskTable, "enqueue")
def unique_keys_are_folded(original: Any, self: TaskTable, specs: Any, *rest: Any) -> Any:
    """Take unique keys that differ in case only for the same."""
    return original(
        self, _changed(specs, lambda spec: {"unique_key": (spec.unique_key or "").casefold() or None}), *rest
    )


@MUTANTS.broken("OQ-Q-0504", TaskTable, "enqueue")
def bodies_end_at_nul(original: Any, self: TaskTable, specs: Any, *rest: Any) -> Any:
    """Cut arguments at their first zero byte."""

    def change(spec: TaskSpec) -> dict[str, Any]:
        return {"body": attrs.evolve(spec.body, args=spec.body.args.partition(b"\0")[0])}

    return original(self, _changed(specs, change), *rest)


@MUTANTS.broken("OQ-Q-0505", MemoryTaskQueue, "_fail")
def errors_are_cut(original: Any, self: Any, item: Any, at: int) -> Any:
    """Keep only the beginning of an error's text."""
    return original(self, item._replace(error=item.error[:1000]), at)


@MUTANTS.broken("OQ-Q-0506", TaskTable, "enqueue")
def large_numbers_are_cut(original: Any, self: TaskTable, specs: Any, *rest: Any) -> Any:
    """Keep counts in 31 bits."""
    return original(self, _changed(specs, lambda spec: {"max_attempts": min(spec.max_attempts, 2**31 - 1)}), *rest)


@MUTANTS.broken("OQ-R-0501", MemoryResultStorage, "list")
async def results_are_listed_regardless_of_case(original: Any, self: Any, *rest: Any, **more: Any) -> Any:
    """Sort a page by folded ids."""
    return sorted(await original(self, *rest, **more), key=lambda record: record.id.casefold())


@MUTANTS.broken("OQ-R-0502", MemoryResultStorage, "put")
async def values_go_through_text(original: Any, self: Any, records: Any, **more: Any) -> Any:
    """Replace what is no text."""
    values = [None if each.value is None else each.value.decode(errors="replace").encode() for each in records]
    return await original(
        self, [attrs.evolve(each, value=value) for each, value in zip(records, values, strict=True)], **more
    )


@MUTANTS.broken("OQ-Q-0508", MemoryTaskQueue, "get")
async def a_name_that_comes_twice_is_answered_once(original: Any, self: Any, ids: Any) -> Any:
    """Take a sequence of names for a set."""
    return await original(self, list(dict.fromkeys(ids)))


def _unchecked(*_: object) -> None:
    """Accept everything."""


for _cases in ("OQ-Q-0511", "OQ-Q-0512", "OQ-Q-0513", "OQ-Q-0514"):
    MUTANTS.add(f"tasks are not checked {_cases}", _cases, task_queue, "check_specs", lambda _: _unchecked)


@MUTANTS.broken("OQ-Q-0517", transitions, "successor")
def ids_of_later_runs_are_cut(original: Any, *rest: Any) -> Any:
    """Let the id of the next run have no more than the limit of those that callers give."""
    following = original(*rest)
    return following and attrs.evolve(following, id=following.id[:512])


MUTANTS.add("joined results are not checked", "OQ-Q-0516", task_queue, "check_results", lambda _: _unchecked)
MUTANTS.add("schedules are not checked", "OQ-S-0511", schedules, "check_schedule", lambda _: _unchecked)


@MUTANTS.broken("OQ-R-0511", MemoryResultStorage, "put")
async def results_are_checked_one_by_one(original: Any, self: Any, records: Any, **more: Any) -> Any:
    """Store what comes before a value that is too large."""
    return [stored for record in records for stored in await original(self, [record], **more)]


@MUTANTS.broken("OQ-Q-0515", MemoryTaskQueue, "enqueue")
async def tasks_are_enqueued_one_by_one(original: Any, self: Any, specs: Any, **more: Any) -> Any:
    """Store what comes before something that is no task."""
    return [answer for spec in specs for answer in await original(self, [spec], **more)]


# Order and deadlines


@MUTANTS.broken("OQ-Q-0601", TaskTable, "claim")
def claims_of_several_queues_are_reversed(original: Any, self: TaskTable, names: Any, *rest: Any) -> Any:
    """Grant in the wrong order if there are several queues."""
    grants = original(self, names, *rest)
    return grants[::-1] if len(names) > 1 else grants


@MUTANTS.broken("OQ-Q-0602", task_table, "take_ready")
def the_two_highest_priorities_are_one(original: Any, queues: Any, limit: int, now: int) -> Any:
    """Let 8 go as 9."""
    taken = original(queues, limit, now)
    return sorted(taken, key=lambda task: (-min(task.priority, 8), task.ready_at, task.seq))


def _early(change: int) -> Callable[[Any], Any]:
    def of(original: Any) -> Any:
        async def claim(self: Any, *rest: Any, now: int | None = None) -> Any:
            return await original(self, *rest, now=None if now is None else now + change)

        return claim

    return of


MUTANTS.add("claims come a millisecond early", ("OQ-Q-0701", "OQ-Q-0702"), MemoryTaskQueue, "claim", _early(1))
MUTANTS.add("claims come a millisecond late", "OQ-Q-0702", MemoryTaskQueue, "claim", _early(-1))


@MUTANTS.broken("OQ-Q-0703", MemoryTaskQueue, "recover")
async def leases_last_a_millisecond_longer(original: Any, self: Any, queues: Any, *, now: int) -> Any:
    """Take a run over only after the end of its lease."""
    return await original(self, queues, now=now - 1)


@MUTANTS.broken("OQ-Q-0704", MemoryTaskQueue, "_release")
def releases_wait_for_seconds(original: Any, self: Any, item: Any, at: int) -> Any:
    """Round the time of a release down to a second."""
    return original(self, item._replace(ready_at=item.ready_at // 1000 * 1000), at)


@MUTANTS.broken("OQ-Q-0705", MemoryTaskQueue, "purge")
async def pinned_tasks_wait_for_both_times(
    original: Any, self: Any, states: Any, before: int, *rest: Any, pinned_before: int | None = None
) -> Any:
    """Never remove a pinned task before the others."""
    return await original(self, states, before, *rest, pinned_before=min(before, pinned_before or before))


@MUTANTS.broken("OQ-R-0701", MemoryResultStorage, "put")
async def the_first_time_to_live_counts(original: Any, self: Any, records: Any, *, now: int) -> Any:
    """Do not start the time to live anew."""
    old = await self.get([record.id for record in records], now=now)
    left = [
        attrs.evolve(new, ttl_ms=before.expires_at - now) if before and before.expires_at and new.ttl_ms else new
        for new, before in zip(records, old, strict=True)
    ]
    return await original(self, left, now=now)


# Paging


def _paged(attribute: str) -> Callable[[Any], Any]:
    """Page by counting what was returned before."""

    def change(original: Any) -> Any:
        returned: dict[tuple[int, Any], int] = {}

        async def page(self: Any, *rest: Any, after: Any = None, limit: int = 100, **more: Any) -> Any:
            before = returned.get((id(self), after), 0) if after is not None else 0
            found = (await original(self, *rest, limit=before + limit, **more))[before:]
            if found:
                returned[id(self), getattr(found[-1], attribute)] = before + len(found)
            return found

        return page

    return change


for _cases, _what, _owner, _attribute, _key in (
    ("OQ-Q-0801", "tasks", MemoryTaskQueue, "list", "seq"),
    ("OQ-R-0801", "results", MemoryResultStorage, "list", "id"),
    ("OQ-S-0801", "schedules", MemoryScheduleStorage, "list", "id"),
    ("OQ-E-0801", "events", MemoryEventStorage, "read", "position"),
):
    MUTANTS.add(f"{_what} are paged by offset", _cases, _owner, _attribute, _paged(_key))


@MUTANTS.broken("OQ-E-0802", MemoryEventStorage, "read")
async def a_trimmed_log_is_read_from_its_begin(
    original: Any, self: Any, *, after: str | None = None, **more: Any
) -> Any:
    """Forget where the reader was once that is trimmed."""
    first = await original(self, limit=1)
    is_trimmed = after is not None and first and int(first[0].position) > int(after)
    return await original(self, after=None if is_trimmed else after, **more)


# Lifetime


@MUTANTS.broken("OQ-Q-0902", TaskTable, "enqueue")
def numbers_are_used_again(original: Any, self: TaskTable, *rest: Any) -> Any:
    """Continue from the largest number that is there."""
    self._seq = max((task.seq for task in self.records.values()), default=0)
    return original(self, *rest)


async def _nothing(*_: object) -> None:
    """Do not close."""


MUTANTS.add("closed handles go on", "OQ-X-0901", MemoryHandle, "close", lambda _: _nothing)
MUTANTS.add("closing leaves waits alone", "OQ-X-0902", MemoryHandle, "close", lambda _: _nothing)


@MUTANTS.broken("OQ-X-0903", MemoryHandle, "open")
async def opening_leaks_a_file(original: Any, self: Any) -> Any:
    """Leave an open file behind."""
    os.dup(0)
    await original(self)
