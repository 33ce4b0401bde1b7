"""Outcomes by task id, as cheap tuples made into records when they are read."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias

from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus

__all__ = ["Outcome", "ResultTable"]

Outcome: TypeAlias = "tuple[int, int, int, str, int | None, bytes | None, str, str | None]"
"""seq, epoch, stored_at, status, ttl_ms, value, codec, error: all atoms, as in the event log."""

_STORED_AT: Final = 2
_TTL_MS: Final = 4
_STATES = {member.value: member for member in TaskStatus}
_ROOM = 10_000


class ResultTable:
    """All outcomes. Used under the lock of the state.

    Attributes:
        outcomes: By task id.
        fresh: The ids that were stored since `tidy` last looked at them. Whoever stores an outcome appends its id.
    """

    __slots__ = ("_by_expiry", "_ids", "fresh", "outcomes")

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.fresh: list[str] = []
        self._ids: list[str] = []  # in order; may have removed ones, and one id several times
        self._by_expiry: list[tuple[int, str]] = []  # a heap; entries of replaced outcomes are void

    def put(self, record: ResultRecord, now: int) -> bool:
        """Store an outcome unless a later one is there, and tell whether it is the stored one now."""
        task_id, seq, epoch = record.id, record.seq, record.epoch
        old = self.outcomes.get(task_id)
        if old is not None and (old[0], old[1]) > (seq, epoch):
            return False
        status, ttl_ms = record.status.value, record.ttl_ms
        self.outcomes[task_id] = (seq, epoch, now, status, ttl_ms, record.value, record.codec, record.error)
        self.fresh.append(task_id)
        return True

    def get(self, task_id: str, now: int) -> ResultRecord | None:
        """Return an outcome that has not expired."""
        outcome = self.outcomes.get(task_id)
        if outcome is None:
            return None
        seq, epoch, stored_at, status, ttl_ms, value, codec, error = outcome
        expires_at = None if ttl_ms is None else stored_at + ttl_ms
        if expires_at is not None and expires_at <= now:
            return None
        return ResultRecord(
            id=task_id,
            seq=seq,
            epoch=epoch,
            status=_STATES[status],
            value=value,
            codec=codec,
            error=error,
            ttl_ms=ttl_ms,
            stored_at=stored_at,
            expires_at=expires_at,
        )

    def delete(self, task_id: str) -> bool:
        """Remove an outcome, expired or not."""
        return self.outcomes.pop(task_id, None) is not None

    def list(self, after: str | None, limit: int, now: int) -> list[ResultRecord]:
        """Return unexpired outcomes by id."""
        self._sort_in()
        found: list[ResultRecord] = []
        previous = None
        for place in range(0 if after is None else bisect_right(self._ids, after), len(self._ids)):
            if len(found) >= limit:
                break
            task_id = self._ids[place]
            record = self.get(task_id, now) if task_id != previous else None
            if record is not None:
                found.append(record)
            previous = task_id
        return found

    def purge_expired(self, limit: int, now: int) -> int:
        """Remove expired outcomes, those that expired first."""
        self._sort_in()
        heap, outcomes, count = self._by_expiry, self.outcomes, 0
        while heap and heap[0][0] <= now and count < limit:
            at, task_id = heappop(heap)
            outcome = outcomes.get(task_id)
            if outcome is not None and _expires_at(outcome) == at:
                del outcomes[task_id]
                count += 1
        return count

    def tidy(self) -> None:
        """Keep `fresh` from growing without end where the same outcomes are replaced over and over."""
        if len(self.fresh) > _ROOM + len(self.outcomes):
            self._sort_in()

    def _sort_in(self) -> None:
        if not self.fresh:
            return
        outcomes = self.outcomes
        for task_id in self.fresh:
            outcome = outcomes.get(task_id)
            at = None if outcome is None else _expires_at(outcome)
            if at is not None:
                heappush(self._by_expiry, (at, task_id))
        self._ids.extend(self.fresh)
        self._ids.sort()  # a long ordered run and a short tail: close to linear
        self.fresh.clear()
        room = _ROOM + 2 * len(outcomes)
        if len(self._ids) > room:
            self._ids = sorted(outcomes)
        if len(self._by_expiry) > room:
            expiries = ((_expires_at(outcome), task_id) for task_id, outcome in outcomes.items())
            self._by_expiry = [(at, task_id) for at, task_id in expiries if at is not None]
            heapify(self._by_expiry)


def _expires_at(outcome: Outcome) -> int | None:
    ttl_ms = outcome[_TTL_MS]
    return None if ttl_ms is None else outcome[_STORED_AT] + ttl_ms
