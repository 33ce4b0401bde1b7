"""What the machines of roles that work together have in common: relays, which carry the outbox step by step.

A relay reads the outbox, looks which outcomes are missing, stores these, appends the events and acknowledges. Each step
is an operation of its own, so that a program can let a relay die after any of them, and two of them run at once on
two handles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from omniq.models.event import Event
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.transitions import reason
from omniq_conformance.model.results import ResultsModel
from omniq_conformance.programs.calls import Call, Entry, UseHandle
from omniq_conformance.programs.queue_dump import same_outcomes
from omniq_conformance.programs.queue_machine import QueueMachine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omniq_conformance.programs.calls import Step

__all__ = ["RELAYING_SOMETIMES", "RelayingMachine"]

RELAYING_SOMETIMES = frozenset(
    {
        "a relay died",
        "two relays carry the same entry",
        "acknowledged by another relay before",
        "purge held back by the outbox or the limit",
    }
)
"""What must have been seen where there is an outbox."""

_ALL = 1000
_LOOK, _STORE, _APPEND = 1, 2, 3
_WITHOUT_A_WORKER = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})


@attrs.define
class _Relay:
    """What a relay has in hand.

    Attributes:
        entries: What it read from the outbox and did not acknowledge yet.
        missing: The outcomes that it is going to store.
        done: How many of the steps look, store and append it has done; it may repeat them, and skips none.
    """

    entries: Sequence[Event] = ()
    missing: Sequence[ResultRecord] = ()
    done: int = 0

    def may(self, step: int) -> bool:
        """Tell whether a step is due or a repetition, and count it as done."""
        if not self.entries or self.done < step - 1:
            return False
        self.done = max(self.done, step)
        return True


class RelayingMachine(QueueMachine):
    """A queue, the results and events beside it or joined, and relays that bring its outbox there.

    Attributes:
        outcomes: The result storage, joined or not.
        relays: The relays, by the number of their handle.
    """

    def __init__(self, mode: str) -> None:
        super().__init__(mode)
        self.outcomes = self.results or ResultsModel()
        self.relays: dict[int, _Relay] = {0: _Relay(), 1: _Relay()}
        self._current = 0

    def _deadlines(self, of: Sequence[str]) -> Sequence[int]:
        return self.model.deadlines(of) + ([] if of else self.outcomes.deadlines())

    def _handle(self, number: int) -> Iterator[Step]:
        self._current = number
        yield from super()._handle(number)

    def _by(self, relay: int, steps: Iterator[Step]) -> Iterator[Step]:
        """Make the calls through the relay's handle."""
        yield UseHandle(relay)
        yield from steps
        yield UseHandle(self._current)

    # The steps of a relay

    def _take(self, relay: int, number: int = _ALL, age: int = 0) -> Iterator[Step]:
        """Read the outbox; what this relay had in hand is lost, as if it had died and another took its place."""
        self.seen["a relay died"] += bool(self.relays[relay].entries)
        yield from self._by(relay, self._outbox(_ALL, age))
        entries = self.model.outbox(number, min_age_ms=age, now=self.now)
        mine = {entry.event_id for entry in entries}
        others = (entry.event_id for number, other in self.relays.items() if number != relay for entry in other.entries)
        self.seen["two relays carry the same entry"] += not mine.isdisjoint(others)
        self.relays[relay] = _Relay(entries)

    def _look(self, relay: int) -> Iterator[Step]:
        """Look which outcomes are missing of tasks that ended without a worker."""
        ended = {entry.task_id: entry for entry in self.relays[relay].entries if entry.state in _WITHOUT_A_WORKER}
        if self.relays[relay].may(_LOOK) and self.results is None and ended:
            yield from self._by(relay, self._missing(relay, ended))

    def _missing(self, relay: int, ended: dict[str, Event]) -> Iterator[Step]:
        known = self.outcomes.get(list(ended), now=self.now)
        yield Call("results", "get", (list(ended),), {"now": self.now}, known, same_outcomes)
        entries = [entry for entry, r in zip(ended.values(), known, strict=True) if self._is_missing(entry, r)]
        heads = self.model.get([entry.task_id for entry in entries])
        yield Call("task_queue", "get", ([entry.task_id for entry in entries],), {}, heads)
        self.relays[relay].missing = [
            ResultRecord(
                id=entry.task_id,
                seq=entry.seq,
                epoch=entry.epoch,
                status=entry.state or TaskStatus.FAILED,
                error=reason(entry.state or TaskStatus.FAILED, entry.error).to_json(),
                ttl_ms=head.body.result_ttl_ms if head is not None and head.seq == entry.seq else None,
            )
            for entry, head in zip(entries, heads, strict=True)
        ]

    def _is_missing(self, entry: Event, record: ResultRecord | None) -> bool:
        order = (entry.seq, entry.epoch)
        if record is None:
            self.seen["a relay finds no outcome"] += 1
            return True
        if record.order != order:
            which = "an earlier" if record.order < order else "a later"
            self.seen[f"a relay finds the outcome of {which} run"] += 1
            return record.order < order
        differs = record.status != entry.state
        what = "a failure that became a cancel" if differs else "the worker's outcome"
        self.seen[f"a relay finds {what}"] += 1
        return differs

    def _store(self, relay: int) -> Iterator[Step]:
        """Store the outcomes that were missing a while ago."""
        records = self.relays[relay].missing
        if not self.relays[relay].may(_STORE) or not records:
            return
        answer = self.outcomes.put(records, now=self.now)
        self.seen["a relay stores an outcome"] += any(answer)
        self.seen["a relay is too late with an outcome"] += not all(answer)
        yield from self._by(relay, iter([Call("results", "put", (records,), {"now": self.now}, answer)]))

    def _append(self, relay: int) -> Iterator[Step]:
        """Append the events."""
        entries = self.relays[relay].entries
        if not self.relays[relay].may(_APPEND) or self.events is None:
            return
        new = self.events.append(entries)
        self.seen["a relay appends events"] += bool(new)
        self.seen["a relay appends events again"] += new < len(entries)
        named = [Entry(entry.event_id) for entry in entries]
        yield from self._by(relay, iter([Call("events", "append", (named,), {}, new)]))

    def _acknowledge(self, relay: int) -> Iterator[Step]:
        """Acknowledge what was carried."""
        if self.relays[relay].done < _APPEND:
            return
        entries, self.relays[relay] = self.relays[relay].entries, _Relay()
        there = self.model.store.unacknowledged
        self.seen["acknowledged by another relay before"] += any(entry.event_id not in there for entry in entries)
        self._call("outbox_ack", entries)
        named = [Entry(entry.event_id) for entry in entries]
        yield from self._by(relay, iter([Call("task_queue", "outbox_ack", (named,))]))

    def _relay_rest(self) -> Iterator[Step]:
        """Let the relays finish what they have in hand, and carry everything that is left."""
        # After the clock went back, entries from the future are not old enough.
        self.now = max([self.now, *(event.at for event in self.model.store.unacknowledged.values())])
        for relay in (1, 0):
            for step in (self._look, self._store, self._append, self._acknowledge):
                yield from step(relay)
        yield from self._relay_all(0)

    def _relay_all(self, relay: int = 0) -> Iterator[Step]:
        """Do every step on everything."""
        for step in (self._take, self._look, self._store, self._append, self._acknowledge):
            yield from step(relay)
