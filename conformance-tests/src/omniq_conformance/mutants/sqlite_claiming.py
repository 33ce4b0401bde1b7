"""Mutants of the SQLite backend: which tasks a claim takes, and in which order."""

from __future__ import annotations

from omniq_conformance.mutants.mutant import Mutants
from omniq_sqlite import claiming, task_queue, transitions

__all__ = ["MUTANTS"]

MUTANTS = Mutants("sqlite")

_QUEUE = "OQ-Q-01"
_ORDER = "OQ-Q-06"
_DEADLINES = "OQ-Q-07"


def _ranked(old: str, new: str) -> tuple[str, str]:
    return f"key=lambda row: {old}", f"key=lambda row: {new}"


# Order

MUTANTS.add(
    "equal times go by id",
    _ORDER,
    claiming,
    "_READY",
    lambda text: text.replace("ORDER BY ready_at, seq", "ORDER BY ready_at, id"),
)
MUTANTS.add(
    "the last one of equal times goes first",
    _ORDER,
    claiming,
    "_READY",
    lambda text: text.replace("ORDER BY ready_at, seq", "ORDER BY ready_at, seq DESC"),
)
MUTANTS.add(
    "the lowest priority goes first",
    _ORDER,
    claiming,
    "_READY",
    lambda text: text.translate({ord(f"{p}"): f"{9 - p}" for p in range(10)}),
)
MUTANTS.edited(
    "of several queues the lowest priority goes first",
    _ORDER,
    claiming,
    "_ready",
    _ranked("(-row[0], row[1], row[2])", "(row[0], row[1], row[2])"),
)
MUTANTS.edited(
    "of several queues the oldest task goes first",
    _ORDER,
    claiming,
    "_ready",
    _ranked("(-row[0], row[1], row[2])", "(-row[0], row[2])"),
)
MUTANTS.edited(
    "one queue goes after the other",
    _ORDER,
    claiming,
    "_ready",
    ("rows.sort(key=lambda row: (-row[0], row[1], row[2]))", "pass"),
)

# Which

MUTANTS.edited("the limit is one for each queue", _QUEUE, claiming, "_ready", ("del rows[limit:]", "pass"))
MUTANTS.edited("paused queues are claimed from", _QUEUE, claiming, "claim", ("if not paused:", "if True:"))
MUTANTS.edited("paused queues are not recovered", _QUEUE, claiming, "claim", ("if dirty:", "if dirty and not paused:"))
MUTANTS.edited(
    "queues are recovered one after the other",
    _QUEUE,
    claiming,
    "claim",
    (
        "        recover(connection, ledger, overdue, max_sweep, now)",
        "        for each in overdue:\n            recover(connection, ledger, [each], max_sweep, now)",
    ),
)
MUTANTS.edited(
    "a claim without room recovers nothing", _QUEUE, claiming, "claim", ("if overdue:", "if overdue and limit > 0:")
)
MUTANTS.reworded("no attempt is counted", _QUEUE, claiming, "_START", "attempts = attempts + 1", "attempts = 1")
MUTANTS.reworded(
    "a claim overlooks leases that end now", _QUEUE, claiming, "_LOOK", "lease_until <= :now", "lease_until < :now"
)
MUTANTS.reworded(
    "next_at knows no pause",
    _QUEUE,
    task_queue,
    "_NEXT_AT",
    " WHERE given.value NOT IN (SELECT queue FROM paused)",
    "",
)
MUTANTS.reworded(
    "next_at forgets the highest priority",
    _QUEUE,
    task_queue,
    "_NEXT_AT",
    "[0,1,2,3,4,5,6,7,8,9]",
    "[0,1,2,3,4,5,6,7,8]",
)
MUTANTS.reworded("next_at knows no leases", _QUEUE, task_queue, "_NEXT_AT", "min(lease_until)", "NULL")
MUTANTS.edited("recovery goes by seq", _QUEUE, transitions, "recover", ('"task.lease_until, task.seq"', '"task.seq"'))

# Deadlines

MUTANTS.add(
    "eta is exclusive",
    _DEADLINES,
    claiming,
    "_READY",
    lambda text: text.replace("ready_at <= :now", "ready_at < :now"),
)
MUTANTS.reworded(
    "a claim overlooks what expires now", _DEADLINES, claiming, "_LOOK", "expires_at <= :now", "expires_at < :now"
)
MUTANTS.reworded(
    "recovery overlooks leases that end now", _DEADLINES, transitions, "_STALE", "lease_until <= ?", "lease_until < ?"
)
MUTANTS.reworded(
    "recovery overlooks what expires now", _DEADLINES, transitions, "_EXPIRED", "expires_at <= ?", "expires_at < ?"
)
MUTANTS.edited(
    "retries go by seconds",
    _DEADLINES,
    transitions,
    "fail",
    ("retry_at=item.retry_at", "retry_at=item.retry_at and item.retry_at // 1000 * 1000"),
)
