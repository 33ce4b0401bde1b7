"""Where transitions leave their events and results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from omniq.models.config import Role
from omniq.models.result import ResultRecord
from omniq.models.status import TERMINAL, TaskStatus
from omniq.storage import transitions
from omniq_memory.event_log import state_of, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.event import Event
    from omniq.models.record import TaskRecord
    from omniq_memory.event_log import EventLog, Row
    from omniq_memory.result_table import ResultTable

__all__ = ["Journal", "Outbox"]

_SEQ: Final = 1
_AT: Final = 4


class Outbox:
    """Transitions that another storage still has to hear of, in the order in which they happened."""

    __slots__ = ("_counts", "_rows")

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int, int], Row] = {}
        self._counts: dict[int, int] = {}

    def add(self, row: Row) -> None:
        """Add a transition."""
        self._rows[row[:3]] = row
        self._counts[row[_SEQ]] = self._counts.get(row[_SEQ], 0) + 1

    def has(self, seq: int) -> bool:
        """Tell whether a task has entries."""
        return seq in self._counts

    def read(self, limit: int, latest: int) -> list[Event]:
        """Return at most `limit` entries of up to `latest`, in order, and none of which an earlier one is left out."""
        found: list[Event] = []
        left_out: set[int] = set()
        for row in self._rows.values():
            if len(found) >= limit:
                break
            if row[_AT] > latest:
                left_out.add(row[_SEQ])
            elif row[_SEQ] not in left_out:
                found.append(unpack(row))
        return found

    def acknowledge(self, events: Sequence[Event]) -> None:
        """Forget entries."""
        for event in events:
            if self._rows.pop((event.task_id, event.seq, event.version), None) is not None:
                self._counts[event.seq] -= 1
                if not self._counts[event.seq]:
                    del self._counts[event.seq]


class Journal:
    """Where the transitions of one handle go: into joined roles directly, else into the outbox.

    Attributes:
        add: Takes the event of a transition.
        results: Takes the outcomes of tasks; None if the result role is not joined.
    """

    __slots__ = ("_log", "_outbox", "add", "results")

    def __init__(self, log: EventLog, results: ResultTable, outbox: Outbox, joined: frozenset[Role]) -> None:
        self._log = log
        self._outbox = outbox
        self.results = results if Role.RESULT_STORAGE in joined else None
        self.add: Callable[[Row], None]
        if Role.EVENT_STORAGE not in joined:
            self.add = outbox.add
        elif self.results is None:
            self.add = self._log_and_report_ends
        else:
            self.add = log.tail.extend

    def keep_result(self, task: TaskRecord, given: ResultRecord | None, now: int) -> None:
        """Store what the worker reported of an ended task, with the state that it really got.

        Without a report, a result without a value or the reason of the end is stored.
        """
        if self.results is None:
            return
        completed = task.state is TaskStatus.COMPLETED
        self.results.put(
            ResultRecord(
                id=task.id,
                seq=task.seq,
                epoch=task.epoch,
                status=task.state,
                value=given.value if given is not None and completed else None,
                codec=given.codec if given is not None else task.body.codec,
                error=given.error
                if given is not None
                else None
                if completed
                else transitions.reason(task.state, task.error).to_json(),
                ttl_ms=given.ttl_ms if given is not None else task.body.result_ttl_ms,
            ),
            now,
        )

    def close_batch(self) -> None:
        """Wake who follows the log, and keep the results tidy."""
        self._log.close_batch()
        if self.results is not None:
            self.results.tidy()

    def _log_and_report_ends(self, row: Row) -> None:
        self._log.tail.extend(row)
        if state_of(row) in TERMINAL:  # the relay sees to it that every ended task has a result
            self._outbox.add(row)
