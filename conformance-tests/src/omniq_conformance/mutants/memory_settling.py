"""Mutants of the memory backend: tokens and attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.status import TaskStatus
from omniq.storage import transitions
from omniq_conformance.mutants.mutant import Mutants
from omniq_memory.task_queue import MemoryTaskQueue
from omniq_memory.task_table import TaskTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.record import Completion, TaskRecord, Token

__all__ = ["MUTANTS"]

MUTANTS = Mutants("memory")


def _queue(owner: Any, attribute: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return MUTANTS.broken("OQ-Q-01", owner, attribute)


# Tokens


@_queue(TaskTable, "complete")
def complete_ignores_the_token(original: Any, self: TaskTable, items: Sequence[Completion], *rest: Any) -> Any:
    """Settle whatever runs under the id."""
    running = {id: task.token for id, task in self.records.items() if task.state is TaskStatus.RUNNING}
    return original(self, [item._replace(token=running.get(item.id, item.token)) for item in items], *rest)


@_queue(TaskTable, "complete")
def complete_ignores_the_nonce(original: Any, self: TaskTable, items: Sequence[Completion], *rest: Any) -> Any:
    """Compare seq and epoch only."""
    nonces = {task.token[:2]: task.nonce for task in self.records.values()}
    return original(
        self, [i._replace(token=i.token._replace(nonce=nonces.get(i.token[:2], i.token.nonce))) for i in items], *rest
    )


@_queue(transitions, "is_current")
def settling_ignores_the_token(original: Any, record: TaskRecord | None, token: Token) -> Any:
    """Let any token fail, release and renew a run."""
    return original(record, token if record is None else record.token)


@_queue(transitions, "is_current")
def tokens_differ_by_nonce_only(original: Any, record: TaskRecord | None, token: Token) -> Any:
    """Ignore seq and epoch."""
    return original(record, token if record is None else record.token._replace(nonce=token.nonce))


@_queue(MemoryTaskQueue, "_extend")
def heartbeat_ignores_the_token(original: Any, self: Any, item: tuple[str, Token], *rest: Any) -> Any:
    """Renew whatever runs under the id."""
    record = self._tasks.records.get(item[0])
    return original(self, item if record is None else (item[0], record.token), *rest)


@_queue(MemoryTaskQueue, "_extend")
def heartbeat_does_nothing(original: Any, self: Any, item: tuple[str, Token], at: int, lease_ms: int) -> Any:
    """Answer, but leave the lease as it is."""
    return original(self, item, at, lease_ms - 1_000_000_000)


@_queue(MemoryTaskQueue, "_extend")
def heartbeat_shortens_the_lease(original: Any, self: Any, item: tuple[str, Token], at: int, lease_ms: int) -> Any:
    """Set the end of the lease rather than extend it."""
    answer = original(self, item, at, lease_ms)
    if answer != "lost":
        self._tasks.records[item[0]].lease_until = at + lease_ms
        self._tasks.queues[self._tasks.records[item[0]].queue].lease_floor = 0
    return answer


@_queue(transitions, "settled_reply")
def nothing_is_settled_already(original: Any, record: TaskRecord | None, token: Token) -> str:
    """Call every stale token lost."""
    del original, record, token
    return "lost"


@_queue(transitions, "cancel")
def cancel_leaves_the_epoch(original: Any, record: TaskRecord, now: int) -> Any:
    """End a waiting task without raising its epoch."""
    step = original(record, now)
    if step is not None:
        step.changes.pop("epoch", None)
    return step


@_queue(transitions, "redrive")
def redrive_leaves_the_epoch(original: Any, record: TaskRecord, now: int) -> Any:
    """Open a task again without raising its epoch."""
    step = original(record, now)
    del step.changes["epoch"]
    return step


# Attempts


@_queue(transitions, "recover")
def lost_leases_cost_no_attempt(original: Any, record: TaskRecord, now: int) -> Any:
    """Give the attempt of a lost run back."""
    step = original(record, now)
    return step._replace(changes={**step.changes, "attempts": record.attempts - 1})


@_queue(transitions, "release")
def release_keeps_the_attempt(original: Any, record: TaskRecord, now: int, *, ready_at: int) -> Any:
    """Use an attempt up by giving a run back."""
    step = original(record, now, ready_at=ready_at)
    step.changes.pop("attempts", None)
    return step


@_queue(transitions, "fail")
def one_retry_too_many(original: Any, record: TaskRecord, now: int, **rest: Any) -> Any:
    """Retry a task that has no attempt left."""
    return original(attrs.evolve(record, max_attempts=record.max_attempts + 1), now, **rest)


@_queue(transitions, "redrive")
def redrive_keeps_the_attempts(original: Any, record: TaskRecord, now: int) -> Any:
    """Open a task again with the attempts that it has used."""
    step = original(record, now)
    del step.changes["attempts"]
    return step
