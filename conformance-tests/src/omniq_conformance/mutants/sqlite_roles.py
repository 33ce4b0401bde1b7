"""Mutants of the SQLite backend: results, events and schedules."""

from __future__ import annotations

from omniq_conformance.mutants.mutant import Mutants
from omniq_sqlite import events, results, schedules, schema, task_queue
from omniq_sqlite.events import SQLiteEventStorage
from omniq_sqlite.results import SQLiteResultStorage
from omniq_sqlite.schedules import SQLiteScheduleStorage

__all__ = ["MUTANTS"]

MUTANTS = Mutants("sqlite")

_RESULTS, _EVENTS, _SCHEDULES = "OQ-R-01", "OQ-E-01", "OQ-S-01"

# Results

MUTANTS.reworded(
    "results live a millisecond longer", "OQ-R-07", results, "_UNEXPIRED", "expires_at > :now", "expires_at >= :now"
)
MUTANTS.reworded("results never expire", "OQ-R-07", results, "_UNEXPIRED", "expires_at > :now", "expires_at > 0")
MUTANTS.edited(
    "expired results stay a millisecond longer",
    "OQ-R-07",
    SQLiteResultStorage,
    "purge_expired",
    ("expires_at <= ?", "expires_at < ?"),
)
MUTANTS.edited("deleting always succeeds", _RESULTS, SQLiteResultStorage, "delete", (".rowcount > 0", ".rowcount > -1"))
MUTANTS.edited("a page of results begins with the last one", "OQ-R-0801", SQLiteResultStorage, "list", (
    "id > :after", "id >= :after"
))  # fmt: skip
MUTANTS.edited("results are listed by their age", "OQ-R-0801", SQLiteResultStorage, "list", (
    "ORDER BY id", "ORDER BY epoch, id DESC"
))  # fmt: skip

# Events

MUTANTS.edited("trim takes what happens now", _EVENTS, SQLiteEventStorage, "trim", ("at < ?", "at <= ?"))
MUTANTS.edited("a page of events begins with the last one", "OQ-E-0801", SQLiteEventStorage, "read", (
    "'<' if desc else '>'", "'<=' if desc else '>='"
))  # fmt: skip
MUTANTS.edited("events are read by their time", "OQ-E-0801", SQLiteEventStorage, "read", (
    "ORDER BY pos", "ORDER BY at"
))  # fmt: skip
MUTANTS.edited(
    "the window of events includes its end",
    _EVENTS,
    events,
    "event_conditions",
    ('("at", "<", wanted.at_before)', '("at", "<=", wanted.at_before)'),
)
MUTANTS.add(
    "events are appended twice",
    _EVENTS,
    schema,
    "_statements",
    lambda original: (
        lambda number: [
            text.replace("UNIQUE INDEX event_identity", "INDEX event_identity") for text in original(number)
        ]
    ),
)

# Schedules

MUTANTS.edited(
    "put ignores the version", _SCHEDULES, schedules, "_put", ("if expected is not None and", "if False and")
)
MUTANTS.edited(
    "put forgets when it was created", _SCHEDULES, schedules, "_put", ("(row[0] + 1, row[1])", "(row[0] + 1, now)")
)
MUTANTS.edited("versions begin at 1", _SCHEDULES, schedules, "_put", ("(now, now) if row", "(1, now) if row"))
MUTANTS.edited("advance ignores the version", _SCHEDULES, schedules, "advance", ("AND version = ?", "AND ? > 0"))
MUTANTS.edited(
    "a schedule is fired without comparing versions",
    "OQ-S-0101-joined",
    task_queue,
    "_fire",
    ("return enqueue(connection, ledger, chunks, now) if advance(connection, step) else None",
     "advance(connection, step)\n    return enqueue(connection, ledger, chunks, now)"),
)  # fmt: skip
MUTANTS.edited(
    "pausing twice counts twice", _SCHEDULES, schedules, "_set_paused", ("AND paused <> ?", "AND ? IS NOT NULL")
)
MUTANTS.edited(
    "schedules are late by a millisecond", _SCHEDULES, SQLiteScheduleStorage, "due", ("next_run <= ?", "next_run < ?")
)
MUTANTS.edited("paused schedules are due", _SCHEDULES, SQLiteScheduleStorage, "due", ("paused = 0 AND ", ""))
MUTANTS.edited(
    "paused schedules have a next time", _SCHEDULES, SQLiteScheduleStorage, "next_due", ("paused = 0 AND ", "")
)
MUTANTS.edited("schedules are listed by their latest change", "OQ-S-0801", SQLiteScheduleStorage, "list", (
    "ORDER BY id", "ORDER BY version, id"
))  # fmt: skip
