"""Mutants of the SQLite backend that were made after the cases, and that no case was made or changed for."""

from __future__ import annotations

from omniq_conformance.mutants.mutant import Mutants
from omniq_sqlite import claiming, events, schedules, task_queue, transitions
from omniq_sqlite.task_queue import SQLiteTaskQueue

__all__ = ["MUTANTS"]

MUTANTS = Mutants("sqlite", held_out=True)

_QUEUE = "OQ-Q-01"

MUTANTS.reworded(
    "a second run began with the first",
    _QUEUE,
    claiming,
    "_START",
    "started_at = ?",
    "started_at = coalesce(started_at, ?)",
)
MUTANTS.reworded(
    "held answers by seq", _QUEUE, claiming, "_HELD", "ORDER BY priority DESC, ready_at, seq", "ORDER BY seq"
)
MUTANTS.edited("purge removes one too many", _QUEUE, task_queue, "_purge", ("LIMIT :limit", "LIMIT :limit + 1"))
MUTANTS.edited(
    "a series that comes late begins at its eta",
    _QUEUE,
    transitions,
    "_new_values",
    ("nominal_at = ready_at if nominal_at is None", "nominal_at = (eta or ready_at) if nominal_at is None"),
)
MUTANTS.edited(
    "a redrive in conflict is called invalid",
    _QUEUE,
    transitions,
    "redrive",
    ('replies.append("conflict")', 'replies.append("invalid")'),
)
MUTANTS.edited(
    "a misfire forgets the last run",
    "OQ-S-01",
    schedules,
    "advance",
    ("last_run = coalesce(?, last_run)", "last_run = ?"),
)
MUTANTS.edited(
    "events are not filtered by queue",
    "OQ-E-01",
    events,
    "event_conditions",
    ('(("type", wanted.types), ("queue", wanted.queues))', '(("type", wanted.types),)'),
)
MUTANTS.edited(
    "the outbox goes by time", _QUEUE, SQLiteTaskQueue, "outbox", ("ORDER BY pos LIMIT", "ORDER BY at, version LIMIT")
)
