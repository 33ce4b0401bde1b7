"""What a transition leaves besides the task itself: its event, its outbox entry and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.config import Role
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.transitions import reason
from omniq_sqlite.rows import EVENT_COLUMNS, event_values, stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from omniq.models.event import Event
    from omniq.models.record import TaskRecord

__all__ = ["PUT_RESULT", "Ledger", "put_results", "result_values"]

_MARKS = ", ".join("?" * (EVENT_COLUMNS.count(",") + 1))
_ADD_EVENT = f"INSERT INTO event ({EVENT_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT DO NOTHING"
_ADD_ENTRY = f"INSERT INTO outbox ({EVENT_COLUMNS}) VALUES ({_MARKS})"

PUT_RESULT = """
INSERT INTO result (id, seq, epoch, status, codec, value, error, ttl_ms, stored_at, expires_at)
{source}
ON CONFLICT (id) DO UPDATE SET
    seq = excluded.seq, epoch = excluded.epoch, status = excluded.status, codec = excluded.codec,
    value = excluded.value, error = excluded.error, ttl_ms = excluded.ttl_ms, stored_at = excluded.stored_at,
    expires_at = excluded.expires_at
WHERE (excluded.seq, excluded.epoch) >= (result.seq, result.epoch)
"""
_PUT_RESULT = PUT_RESULT.format(source="VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")


@attrs.frozen
class Ledger:
    """Where a queue's transitions are written, which depends on the roles that it has joined."""

    joined: frozenset[Role] = frozenset()

    @property
    def has_events(self) -> bool:
        """Whether events are written in the queue's own transaction."""
        return Role.EVENT_STORAGE in self.joined

    @property
    def has_results(self) -> bool:
        """Whether results are written in the queue's own transaction."""
        return Role.RESULT_STORAGE in self.joined

    def tables(self, *, terminal: bool) -> Iterable[str]:
        """Name the tables that get an event: the log if it is joined, the outbox if a role elsewhere needs it."""
        if self.has_events:
            yield "event"
        if not self.has_events or (terminal and not self.has_results):
            yield "outbox"

    def note(self, connection: sqlite3.Connection, events: Sequence[Event]) -> None:
        """Write events to where they belong."""
        if self.has_events:
            connection.executemany(_ADD_EVENT, map(event_values, events))
            events = [event for event in events if event.state is not None and event.state.is_terminal]
        if not self.has_events or not self.has_results:
            connection.executemany(_ADD_ENTRY, map(event_values, events))

    def settle(self, connection: sqlite3.Connection, record: TaskRecord, given: ResultRecord | None, now: int) -> None:
        """Write the result of a task that has just ended: what the worker gave, with the state that it really got."""
        if not self.has_results:
            return
        put_results(connection, [_ended(record) if given is None else _as_it_ended(record, given)], now)


def _as_it_ended(record: TaskRecord, given: ResultRecord) -> ResultRecord:
    """Return what the worker gave with the state that the task really got: a requested cancel wins over a failure."""
    return given if given.status is record.state else attrs.evolve(given, status=record.state)


def _ended(record: TaskRecord) -> ResultRecord:
    """Return the result of a task that ended without its worker saying more."""
    return ResultRecord(
        id=record.id,
        seq=record.seq,
        epoch=record.epoch,
        status=record.state,
        error=None if record.state is TaskStatus.COMPLETED else reason(record.state, record.error).to_json(),
        ttl_ms=record.body.result_ttl_ms,
    )


def result_values(record: ResultRecord, now: int) -> tuple[Any, ...]:
    """Return the values of a `result` row."""
    return (
        record.id,
        record.seq,
        record.epoch,
        record.status.value,
        record.codec,
        None if record.value is None else stored(record.value, record.codec),
        record.error,
        record.ttl_ms,
        now,
        None if record.ttl_ms is None else now + record.ttl_ms,
    )


def put_results(connection: sqlite3.Connection, records: Iterable[ResultRecord], now: int) -> list[bool]:
    """Store each outcome unless a later one is stored; tell which are."""
    return [connection.execute(_PUT_RESULT, result_values(record, now)).rowcount > 0 for record in records]
