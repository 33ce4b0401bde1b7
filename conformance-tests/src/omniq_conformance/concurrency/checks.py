"""What must be true of a concurrent history, by parts.

A search for one order of all calls (linearizability of the whole queue) takes far too long. Every rule here is a
necessary condition that looks at one task, at one pair of calls, or at the totals, so that a violation is never a
false alarm, and together they see what such a search would.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from omniq.models.event import EventType
from omniq.models.status import LIVE
from omniq_conformance.invariants import (
    chains,
    check_chain,
    check_conservation,
    check_fold,
    check_log_order,
    check_records,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omniq.models.event import Event
    from omniq.models.record import TaskRecord
    from omniq_conformance.concurrency.history import Granted, Operation

__all__ = ["check_history"]

_SETTLED: Mapping[tuple[str, str], EventType] = {
    ("complete", "ok"): EventType.COMPLETED,
    ("fail", "PENDING"): EventType.RETRYING,
    ("fail", "FAILED"): EventType.FAILED,
    ("fail", "CANCELLED"): EventType.CANCELLED,
    ("release", "PENDING"): EventType.RELEASED,
    ("release", "CANCELLED"): EventType.CANCELLED,
}
_TAKEN_AWAY = {EventType.LEASE_EXPIRED, EventType.FAILED, EventType.CANCELLED}


def check_history(
    operations: Sequence[Operation],
    records: Sequence[TaskRecord],
    events: Sequence[Event],
    *,
    exact_order: bool,
    clock_error_ms: int,
) -> list[str]:
    """Return what is wrong, one sentence each.

    Args:
        operations: What every actor did and was told.
        records: Every task, when all is done.
        events: Every event, in the order of the log.
        exact_order: Whether the backend promises the exact claim order.
        clock_error_ms: By how much two handles' clocks may differ.
    """
    faults = [*check_records(records), *_totals(operations, records, events)]
    by_task = chains(events)
    for chain in by_task.values():
        faults += check_chain(chain)
    for record in records:
        faults += check_fold(record, by_task.get((record.id, record.seq), []))
    keys = {record.id: (record.queue, record.unique_key) for record in records if record.unique_key is not None}
    faults += check_log_order(events, keys)
    faults += _grants(operations, by_task)
    faults += _settlings(operations, by_task)
    faults += _leases(operations, by_task, clock_error_ms)
    faults += _left_behind(operations, exact_order=exact_order)
    return faults


def _totals(operations: Sequence[Operation], records: Sequence[TaskRecord], events: Sequence[Event]) -> Iterator[str]:
    """I3: every task was created exactly once, and each is accounted for."""
    created: dict[str, int] = defaultdict(int)
    known = {record.id for record in records}
    for operation in operations:
        if operation.name == "enqueue":
            for (id, was_created), item in zip(operation.replies, operation.items, strict=True):
                created[id] += was_created
                if id not in known:
                    yield f"I3: {operation.actor} was told that {item[0]!r} is {id!r}, which is not there"
    for id, number in created.items():
        if number > 1:
            yield f"I3: {number} actors were told that they created {id!r}"
    yield from check_conservation((id for id, number in created.items() if number), records, events)
    for record in records:
        if record.state in LIVE:
            yield f"task {record.id!r} never ended: it is {record.state}, ready at {record.ready_at}"


def _all_grants(operations: Sequence[Operation]) -> Iterator[tuple[Operation, Granted]]:
    for operation in operations:
        if operation.name == "claim":
            for grant in operation.grants():
                yield operation, grant


def _grants(operations: Sequence[Operation], by_task: Mapping[tuple[str, int], Sequence[Event]]) -> Iterator[str]:
    """I1: each token is granted once, and each start of a task is one grant."""
    granted: dict[tuple[str, int, int], str] = {}
    for operation, grant in _all_grants(operations):
        token = grant.id, grant.seq, grant.epoch
        if token in granted:
            yield f"I1: token {token} was granted to {granted[token]} and to {operation.actor}"
        granted[token] = operation.actor
    started = {
        (event.task_id, event.seq, event.epoch): event.worker
        for chain in by_task.values()
        for event in chain
        if event.type is EventType.STARTED
    }
    for token in sorted(granted.keys() | started.keys()):
        if granted.get(token) != started.get(token):
            yield f"I1: token {token} was granted to {granted.get(token)}, but the log has it for {started.get(token)}"


def _settlings(operations: Sequence[Operation], by_task: Mapping[tuple[str, int], Sequence[Event]]) -> Iterator[str]:
    """I2: each settling that was told to have happened is one event of its token, and the other way round."""
    told: Counter[tuple[str, int, int, EventType]] = Counter()
    for operation in operations:
        if operation.name not in {"complete", "fail", "release"}:
            continue
        for (id, seq, epoch, _), reply in zip(operation.items, operation.replies, strict=True):
            kind = _SETTLED.get((operation.name, str(reply)))
            if kind is not None:
                told[id, seq, epoch, kind] += 1
            elif reply == "already" and not _has_ended(by_task.get((id, seq), ()), epoch):
                yield f"I2: {operation.actor} was told `already` for epoch {epoch} of {id!r}, which it never settled"
    logged = Counter(_settled_by_token(by_task))
    for key in sorted(told.keys() | logged.keys()):
        if told[key] != logged[key]:
            yield f"I2: {key} was told {told[key]} times and happened {logged[key]} times"


def _settled_by_token(
    by_task: Mapping[tuple[str, int], Sequence[Event]],
) -> Iterator[tuple[str, int, int, EventType]]:
    for (id, seq), chain in by_task.items():
        for before, event in pairwise(chain):
            if event.type in _SETTLED.values() and event.epoch == before.epoch:
                yield id, seq, event.epoch, event.type


def _has_ended(chain: Sequence[Event], epoch: int) -> bool:
    return any(event.epoch >= epoch and event.type is not EventType.STARTED for event in chain)


def _leases(
    operations: Sequence[Operation], by_task: Mapping[tuple[str, int], Sequence[Event]], clock_error_ms: int
) -> Iterator[str]:
    """No run is taken away before its lease is over, as far as its worker was told."""
    until: dict[tuple[str, int, int], int] = {}
    for _, grant in _all_grants(operations):
        until[grant.id, grant.seq, grant.epoch] = grant.lease_until
    for operation in operations:
        if operation.name == "heartbeat":
            for (id, seq, epoch, _), reply in zip(operation.items, operation.replies, strict=True):
                if reply != "lost" and (id, seq, epoch) in until:
                    until[id, seq, epoch] = max(until[id, seq, epoch], operation.wall + operation.lease_ms)
    for (id, seq), chain in by_task.items():
        for before, event in pairwise(chain):
            lost = event.type is EventType.LEASE_EXPIRED or (
                event.type in _TAKEN_AWAY and event.epoch == before.epoch + 1 and before.state == "RUNNING"
            )
            lease = until.get((id, seq, before.epoch))
            if lost and lease is not None and event.at < lease - clock_error_ms:
                yield f"epoch {before.epoch} of {id!r} was taken away at {event.at}, its lease ran until {lease}"


def _left_behind(operations: Sequence[Operation], *, exact_order: bool) -> Iterator[str]:
    """I5': no call leaves a task behind that was ready and free during the whole call, and better than what it took.

    Looked at are tasks from the end of their enqueueing to the begin of whatever may have changed them first.
    """
    ready = _ready_since(operations)
    touched = _touched_first(operations)
    ranks = _first_ranks(operations)
    for operation in operations:
        if operation.name != "claim":
            continue
        limit, queues = operation.items
        grants = operation.grants()
        for id, (since, queue) in ready.items():
            free = since < operation.began and operation.ended < touched.get(id, operation.ended + 1)
            if not free or queue not in queues:
                continue
            if len(grants) < limit:
                yield f"I5': {operation.actor} got {len(grants)} of {limit} from {queues}, though {id!r} was ready"
            elif exact_order and id in ranks and any(grant.rank > ranks[id] for grant in grants):
                yield f"I5': {operation.actor} got {[g.id for g in grants]} from {queues}, though {id!r} goes before"


def _ready_since(operations: Sequence[Operation]) -> dict[str, tuple[int, str]]:
    """Return when the tasks that can be claimed at once were certainly there, and their queues."""
    ready: dict[str, tuple[int, str]] = {}
    for operation in operations:
        if operation.name == "enqueue":
            for (_, created), (id, _, queue, _, plain) in zip(operation.replies, operation.items, strict=True):
                if created and plain:
                    ready[id] = operation.ended, queue
    return ready


def _touched_first(operations: Sequence[Operation]) -> dict[str, int]:
    """Return when the first call began that claimed or cancelled a task."""
    touched: dict[str, int] = {}
    for operation in operations:
        ids = [item[0] for item in operation.items] if operation.name == "cancel" else []
        if operation.name == "claim":
            ids = [grant.id for grant in operation.grants()]
        for id in ids:
            touched[id] = min(operation.began, touched.get(id, operation.began))
    return touched


def _first_ranks(operations: Sequence[Operation]) -> dict[str, tuple[int, int, int]]:
    """Return the rank that each task had in its first grant."""
    ranks: dict[str, tuple[int, tuple[int, int, int]]] = {}
    for _, grant in _all_grants(operations):
        if grant.id not in ranks or grant.epoch < ranks[grant.id][0]:
            ranks[grant.id] = grant.epoch, grant.rank
    return {id: rank for id, (_, rank) in ranks.items()}
