"""Mutants of the SQLite backend: events, outbox entries and results that transitions write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.event import EventType
from omniq_conformance.mutants.mutant import Mutants
from omniq_sqlite import claiming, enqueuing, ledger, settling, transitions
from omniq_sqlite.ledger import Ledger
from omniq_sqlite.task_queue import SQLiteTaskQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.event import Event

__all__ = ["MUTANTS"]

MUTANTS = Mutants("sqlite")

_QUEUE = "OQ-Q-01"


@MUTANTS.broken(_QUEUE, Ledger, "note")
def releases_leave_no_event(original: Any, self: Ledger, connection: Any, events: Sequence[Event]) -> None:
    """Forget the entries of one transition."""
    original(self, connection, [event for event in events if event.type is not EventType.RELEASED])


MUTANTS.reworded(
    "an enqueue is noted twice", _QUEUE, enqueuing, "_NOTE", "seq BETWEEN ? AND ?", "seq BETWEEN ? - 1 AND ?"
)
MUTANTS.edited(
    "the first of a batch is not noted",
    _QUEUE,
    enqueuing,
    "_enqueue_new",
    ("last - len(chunk.specs) + 1", "last - len(chunk.specs) + 2"),
)
MUTANTS.edited(
    "starts are noted only once they are joined",
    _QUEUE,
    claiming,
    "claim",
    ("ledger.tables(terminal=False)", "ledger.tables(terminal=False) if ledger.has_events else ()"),
)
MUTANTS.reworded(
    "the event of an end has no duration", _QUEUE, settling, "_NOTE", ":now - started_at", "NULL AND started_at"
)
MUTANTS.edited(
    "an acknowledgement takes the earlier entries along",
    _QUEUE,
    SQLiteTaskQueue,
    "outbox_ack",
    ("AND version = ?", "AND version <= ?"),
)
MUTANTS.edited(
    "entries come a millisecond late", _QUEUE, SQLiteTaskQueue, "outbox", ("WHERE at <= :at", "WHERE at < :at")
)

# Results

MUTANTS.reworded(
    "an older result replaces a newer one",
    "OQ-R-01",
    ledger,
    "_PUT_RESULT",
    "WHERE (excluded.seq, excluded.epoch) >= (result.seq, result.epoch)",
    "WHERE true",
)
MUTANTS.reworded(
    "results are compared by epoch only",
    "OQ-R-01",
    ledger,
    "_PUT_RESULT",
    "(excluded.seq, excluded.epoch) >= (result.seq, result.epoch)",
    "excluded.epoch >= result.epoch",
)
MUTANTS.reworded(
    "an equal result is refused",
    "OQ-R-01",
    ledger,
    "_PUT_RESULT",
    "(excluded.seq, excluded.epoch) >= (result.seq, result.epoch)",
    "(excluded.seq, excluded.epoch) > (result.seq, result.epoch)",
)
MUTANTS.reworded(
    "the time to live is not refreshed",
    "OQ-R-07",
    ledger,
    "_PUT_RESULT",
    "expires_at = excluded.expires_at",
    "expires_at = coalesce(result.expires_at, excluded.expires_at)",
)
MUTANTS.reworded(
    "joined results have no time to live",
    "OQ-Q-0101-joined",
    settling,
    "_PUT_JSON",
    ":now + json_extract(given.value, '$[3]')",
    "NULL",
)
MUTANTS.edited(
    "runs that were cancelled have no result", "OQ-Q-0101-joined", Ledger, "settle", ("if not self.has_results:", (
        "if not self.has_results or record.state.value == 'CANCELLED':"
    ))
)  # fmt: skip
MUTANTS.edited(
    "a stale run leaves its result all the same",
    "OQ-Q-0101-joined",
    transitions,
    "_settle",
    (
        "    if record is None or",
        "    if record and result:\n        ledger.settle(connection, record, result, now)\n    if record is None or",
    ),
)
