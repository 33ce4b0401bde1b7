"""Where transitions leave their events and results."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from omniq.models.config import Role
from omniq.models.status import TERMINAL
from omniq_memory.event_log import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq.models.event import Event
    from omniq_memory.event_log import Entry, EventLog
    from omniq_memory.result_table import ResultTable

__all__ = ["Journal", "Outbox"]

_TERMINAL = frozenset(state.value for state in TERMINAL)
_SEQ: Final = 1
_AT: Final = 4
_STATE: Final = 6


class Outbox:
    """Transitions that another storage still has to hear of, in the order in which they happened."""

    __slots__ = ("_counts", "_entries")

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int, int], Entry] = {}
        self._counts: dict[int, int] = {}

    def add(self, entry: Entry) -> None:
        """Add a transition."""
        self._entries[entry[:3]] = entry
        self._counts[entry[_SEQ]] = self._counts.get(entry[_SEQ], 0) + 1

    def has(self, seq: int) -> bool:
        """Tell whether a task has entries."""
        return seq in self._counts

    def read(self, limit: int, latest: int) -> list[Event]:
        """Return at most `limit` entries of up to `latest`, in order."""
        entries = (entry for entry in self._entries.values() if entry[_AT] <= latest)
        return [unpack(entry) for entry in islice(entries, limit)]

    def acknowledge(self, events: Sequence[Event]) -> None:
        """Forget entries."""
        for event in events:
            if self._entries.pop((event.task_id, event.seq, event.version), None) is not None:
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
        self.add: Callable[[Entry], None]
        if Role.EVENT_STORAGE not in joined:
            self.add = outbox.add
        elif self.results is None:
            self.add = self._log_and_report_ends
        else:
            self.add = log.entries.append

    def close_batch(self) -> None:
        """Wake who follows the log."""
        self._log.wake()

    def _log_and_report_ends(self, entry: Entry) -> None:
        self._log.entries.append(entry)
        if entry[_STATE] in _TERMINAL:  # the relay sees to it that every ended task has a result
            self._outbox.add(entry)
