"""Mutants of the SQLite backend: waiting and being woken."""

from __future__ import annotations

from omniq_conformance.mutants.mutant import Mutants
from omniq_sqlite import connection
from omniq_sqlite.connection import Database
from omniq_sqlite.events import SQLiteEventStorage
from omniq_sqlite.task_queue import SQLiteTaskQueue

__all__ = ["MUTANTS"]

MUTANTS = Mutants("sqlite")

for _method, _cases, _old, _new in (
    ("enqueue", "OQ-Q-1001", "kinds=WORK + EVENTS", "kinds=EVENTS"),
    ("release", "OQ-Q-1001", "kinds=WORK + DONE + EVENTS", "kinds=DONE + EVENTS"),
    ("redrive", "OQ-Q-1001", "kinds=WORK + EVENTS", "kinds=EVENTS"),
    ("resume", "OQ-Q-1001", "        WORK,\n", ""),
    ("complete", "OQ-Q-1010", "kinds = DONE + EVENTS", "kinds = EVENTS"),
    ("fail", "OQ-Q-1010", "kinds=WORK + DONE + EVENTS", "kinds=WORK + EVENTS"),
    ("cancel", "OQ-Q-1010", "kinds=WORK + DONE + EVENTS", "kinds=WORK + EVENTS"),
    ("recover", "OQ-Q-1010", "kinds=WORK + DONE + EVENTS", "kinds=WORK + EVENTS"),
):
    MUTANTS.edited(f"{_method} wakes nobody", _cases, SQLiteTaskQueue, _method, (_old, _new))

MUTANTS.edited("append wakes nobody", "OQ-E-1001", SQLiteEventStorage, "append", (".rowcount, EVENTS)", ".rowcount)"))
MUTANTS.edited(
    "a tail begins at the beginning", "OQ-E-1002", SQLiteEventStorage, "tail", ("coalesce(max(seq), 0)", "0")
)
MUTANTS.edited(
    "a tail knows no filter", "OQ-E-1004", SQLiteEventStorage, "tail", ("limit=_PAGE, filter=filter", "limit=_PAGE")
)
MUTANTS.edited(
    "a tail stands still", "OQ-E-1001", SQLiteEventStorage, "tail", ("position = event.position or position", "pass")
)
MUTANTS.edited(
    "a wait does not look first", "OQ-Q-1002", SQLiteTaskQueue, "wait", ("if patience <= 0 < timeout", "if False")
)
MUTANTS.edited("unknown tasks never end", "OQ-Q-1011", SQLiteTaskQueue, "wait_done", (
    "done |= dict.fromkeys(set(ids) - done.keys() - live.keys())", "pass"
))  # fmt: skip
MUTANTS.edited("expiry is no end", "OQ-Q-1012", SQLiteTaskQueue, "wait_done", (
    "if at is not None and at <= now}", "if False}"
))  # fmt: skip
MUTANTS.edited("waits last for ever", "OQ-Q-1003", Database, "wait_until", (
    "deadline = time.monotonic() + timeout", "deadline = time.monotonic() + timeout + 1.5"
))  # fmt: skip
MUTANTS.edited("waiting blocks the loop", "OQ-Q-1003", Database, "wait_until", (
    "await asyncio.wait((bell,), timeout=max(0.0, min(patience, remaining, SAFETY_NET)))",
    "time.sleep(max(0.0, min(patience, remaining, SAFETY_NET)))",
))  # fmt: skip
MUTANTS.edited("other handles are not woken", ("OQ-Q-1001", "OQ-Q-1010"), connection, "ring", (
    "names = [name for name in names if name[0] in kinds and name not in own]", "return"
))  # fmt: skip
