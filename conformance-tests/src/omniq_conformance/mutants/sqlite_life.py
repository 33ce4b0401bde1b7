"""Mutants of the SQLite backend: unique keys, series, ends, retention, reads and what they tell."""

from __future__ import annotations

from omniq.errors import StorageError
from omniq.models.status import TaskView
from omniq_conformance.mutants.mutant import Mutants
from omniq_sqlite import enqueuing, filters, task_queue, transitions
from omniq_sqlite.task_queue import SQLiteTaskQueue

__all__ = ["MUTANTS"]

MUTANTS = Mutants("sqlite")

_QUEUE = "OQ-Q-01"
_DEADLINES = "OQ-Q-07"

# Unique keys and series

MUTANTS.edited(
    "an expired holder keeps its unique key",
    _QUEUE,
    enqueuing,
    "add_one",
    ("if held is not None and transitions.is_expired(held, now):", "if False:"),
)
MUTANTS.edited(
    "the run that follows an expired holder is overlooked",
    _QUEUE,
    enqueuing,
    "add_one",
    (
        "            held = holder(connection, spec.queue, spec.unique_key)\n        if held",
        "            held = None\n        if held",
    ),
    raises=(StorageError,),
)
MUTANTS.edited(
    "redrive overlooks who holds the unique key",
    _QUEUE,
    transitions,
    "redrive",
    ("record.unique_key is not None and holder(", "record.unique_key == '' and holder("),
    raises=(StorageError,),
)
MUTANTS.edited(
    "unique keys are the same in all queues",
    "OQ-Q-0503",
    transitions,
    "holder",
    ("task.queue = ? AND", "? IS NOT NULL AND"),
)
MUTANTS.edited(
    "a series ends with its first run", _QUEUE, transitions, "take", ("if following is not None:", "if False:")
)
MUTANTS.edited(
    "the next run comes before the key is free",
    _QUEUE,
    transitions,
    "take",
    ("        add_one(connection, ledger, following, now)", "        pass"),
    (
        "    changes = {**step.changes",
        "    if following:\n        add_one(connection, ledger, following, now)\n    changes = {**step.changes",
    ),
)

# Retention

MUTANTS.edited(
    "purge knows no pins",
    "OQ-Q-0705",
    task_queue,
    "_purge",
    ("CASE pinned WHEN 0 THEN :before ELSE :pinned_before END", ":before"),
)
MUTANTS.edited(
    "purge takes what ends now",
    "OQ-Q-0705",
    task_queue,
    "_purge",
    ("finished_at < CASE pinned", "finished_at <= CASE pinned"),
    ("finished_at < max(", "finished_at <= max("),
)
MUTANTS.edited(
    "purge removes what the outbox still has",
    _QUEUE,
    task_queue,
    "_purge",
    ('"AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.seq = task.seq) "', '""'),
)
MUTANTS.edited(
    "purge begins with the oldest task instead of the oldest end",
    _QUEUE,
    task_queue,
    "_purge",
    ("ORDER BY finished_at, seq", "ORDER BY seq"),
)

# Reads

for _view, _old, _new in (
    (TaskView.SCHEDULED, "ready_at > :now", "ready_at >= :now"),
    (TaskView.READY, "ready_at <= :now", "ready_at < :now"),
    (TaskView.STALE, "lease_until <= :now", "lease_until < :now"),
):
    MUTANTS.add(
        f"the view {_view.lower()} is off by one",
        _DEADLINES,
        filters,
        "_VIEWS",
        lambda views, view=_view, old=_old, new=_new: {**views, view: views[view].replace(old, new)},  # type: ignore[misc]
    )
MUTANTS.reworded(
    "what expires now is counted as waiting",
    _DEADLINES,
    task_queue,
    "_STATS",
    "expires_at <= :now",
    "expires_at < :now",
)
MUTANTS.reworded(
    "what ends its lease now is not counted as stale",
    _DEADLINES,
    task_queue,
    "_STATS",
    "lease_until <= :now",
    "lease_until < :now",
)
MUTANTS.edited(
    "the time window includes its end",
    _QUEUE,
    task_queue,
    "task_conditions",
    ('("task.enqueued_at", "<", wanted.enqueued_before)', '("task.enqueued_at", "<=", wanted.enqueued_before)'),
)
MUTANTS.edited(
    "tasks are listed by their latest change",
    "OQ-Q-0801",
    SQLiteTaskQueue,
    "list",
    ("ORDER BY task.seq {order}", "ORDER BY task.version {order}, task.seq {order}"),
)
MUTANTS.edited(
    "a page of tasks begins with the last one",
    "OQ-Q-0801",
    SQLiteTaskQueue,
    "list",
    ("'<' if desc else '>'", "'<=' if desc else '>='"),
)
