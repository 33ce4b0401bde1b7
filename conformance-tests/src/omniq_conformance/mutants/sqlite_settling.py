"""Mutants of the SQLite backend: tokens, leases, and what settling does to a batch."""

from __future__ import annotations

from omniq.errors import ConnectionLostError
from omniq_conformance.mutants.mutant import Mutants
from omniq_sqlite import claiming, settling, transitions
from omniq_sqlite.writer import Writer

__all__ = ["MUTANTS"]

MUTANTS = Mutants("sqlite")

_QUEUE = "OQ-Q-01"

# Tokens

MUTANTS.reworded("complete ignores the nonce", _QUEUE, settling, "_COMPLETE", "AND nonce = ?", "AND ? IS NOT NULL")
MUTANTS.reworded(
    "a token completes another task", _QUEUE, settling, "_SAME", " AND task.id = json_extract(given.value, '$[1]')", ""
)
MUTANTS.reworded("complete ignores the epoch", _QUEUE, settling, "_COMPLETE", "AND epoch = ?", "AND ? > 0")
MUTANTS.reworded("what ended is completed again", _QUEUE, settling, "_COMPLETE", "AND state = 1", "AND state > 0")
MUTANTS.reworded("complete ends a series", _QUEUE, settling, "_COMPLETE", " AND series_id IS NULL", "")
MUTANTS.edited(
    "a batch with a stale token is settled in part and then again",
    _QUEUE,
    settling,
    "complete",
    ('connection.execute("ROLLBACK TO complete")', "pass"),
)
MUTANTS.edited(
    "other settlings ignore the token",
    _QUEUE,
    transitions,
    "_settle",
    ("not transitions.is_current(record, token)", "record.state.value != 'RUNNING'"),
)
MUTANTS.edited(
    "heartbeats of lost runs extend the lease",
    _QUEUE,
    settling,
    "heartbeat",
    ("for task_id, token in tokens if (task_id, token) in current]", "for task_id, token in tokens]"),
)
MUTANTS.edited(
    "heartbeats set the lease", _QUEUE, settling, "heartbeat", ("lease_until = max(lease_until, ?)", "lease_until = ?")
)
MUTANTS.edited(
    "heartbeats ignore the nonce",
    _QUEUE,
    settling,
    "heartbeat",
    ("current = {(task_id, (seq, epoch, nonce)): cancel", "current = {(task_id, token): cancel"),
    ("cancel in rows}", "cancel in rows for one, token in tokens if one == task_id and token.epoch == epoch}"),
)
MUTANTS.edited(
    "heartbeats do not tell of a cancel", _QUEUE, settling, "_reply", ('"cancel" if cancel_requested else "ok"', '"ok"')
)
MUTANTS.reworded(
    "every run of a task has the same epoch", _QUEUE, claiming, "_START", "epoch = epoch + 1", "epoch = max(epoch, 1)"
)
MUTANTS.reworded("held asks for no worker", _QUEUE, claiming, "_HELD", "worker = ?", "? IS NOT NULL")

# Transactions

_NO_LOCK = ("with self._lock:", "with contextlib.nullcontext():")

MUTANTS.edited(
    "each statement is a transaction of its own",
    "OQ-Q-02",
    Writer,
    "_write",
    _NO_LOCK,
    ('connection.execute("BEGIN IMMEDIATE")', "pass"),
    ('connection.execute("COMMIT")', "pass"),
    raises=(ConnectionLostError,),
)
MUTANTS.edited(
    "transactions begin by reading",
    "OQ-Q-02",
    Writer,
    "_write",
    _NO_LOCK,
    ("BEGIN IMMEDIATE", "BEGIN DEFERRED"),
    raises=(ConnectionLostError,),
)
MUTANTS.edited(
    "a failing call commits what shares its transaction",
    "OQ-Q-0515",
    Writer,
    "_write",
    (
        'values = None\n                connection.execute("ROLLBACK")',
        'values = None\n                connection.execute("COMMIT")',
    ),
)
MUTANTS.edited(
    "a failing call fails what shares its transaction",
    "OQ-Q-0515",
    Writer,
    "_write",
    ("if len(jobs) == 1:", "if jobs:"),
)
