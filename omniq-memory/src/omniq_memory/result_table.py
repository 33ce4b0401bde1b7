"""Outcomes by task id, as cheap tuples made into records when they are read."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias

from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus

__all__ = ["Outcome", "ResultTable"]

Outcome: TypeAlias = "tuple[int, int, str, bytes | None, str, str | None, int | None, int, int | None]"
"""seq, epoch, status, value, codec, error, ttl_ms, stored_at, expires_at: all atoms, as in the event log."""

_STATES = {member.value: member for member in TaskStatus}
_EXPIRES_AT: Final = 8
_ROOM = 10_000


class ResultTable:
    """All outcomes. Used under the lock of the state."""

    __slots__ = ("_by_expiry", "_fresh", "_ids", "_outcomes")

    def __init__(self) -> None:
        self._outcomes: dict[str, Outcome] = {}
        self._fresh: list[str] = []  # ids that were stored since the two indexes below were brought up to date
        self._ids: list[str] = []  # in order; may have removed ones, and one id several times
        self._by_expiry: list[tuple[int, str]] = []  # a heap; entries of replaced outcomes are void

    def put(  # noqa: PLR0917 - called for every task, and keywords cost
        self,
        task_id: str,
        seq: int,
        epoch: int,
        status: str,
        value: bytes | None,
        codec: str,
        error: str | None,
        ttl_ms: int | None,
        now: int,
    ) -> bool:
        """Store an outcome unless a later one is there, and tell whether it is the stored one now."""
        old = self._outcomes.get(task_id)
        if old is not None and (old[0], old[1]) > (seq, epoch):
            return False
        expires_at = None if ttl_ms is None else now + ttl_ms
        self._outcomes[task_id] = (seq, epoch, status, value, codec, error, ttl_ms, now, expires_at)
        self._fresh.append(task_id)
        if len(self._fresh) > _ROOM + len(self._outcomes):
            self._catch_up()
        return True

    def put_record(self, record: ResultRecord, now: int) -> bool:
        """Store the outcome that a record describes, as `put` does."""
        return self.put(
            record.id,
            record.seq,
            record.epoch,
            record.status.value,
            record.value,
            record.codec,
            record.error,
            record.ttl_ms,
            now,
        )

    def get(self, task_id: str, now: int) -> ResultRecord | None:
        """Return an outcome that has not expired."""
        outcome = self._outcomes.get(task_id)
        return None if outcome is None or _is_expired(outcome, now) else _record(task_id, outcome)

    def delete(self, task_id: str) -> bool:
        """Remove an outcome, expired or not."""
        return self._outcomes.pop(task_id, None) is not None

    def list(self, after: str | None, limit: int, now: int) -> list[ResultRecord]:
        """Return unexpired outcomes by id."""
        self._catch_up()
        found: list[ResultRecord] = []
        previous = None
        for place in range(0 if after is None else bisect_right(self._ids, after), len(self._ids)):
            if len(found) >= limit:
                break
            task_id = self._ids[place]
            if task_id != previous:
                record = self.get(task_id, now)
                if record is not None:
                    found.append(record)
            previous = task_id
        return found

    def purge_expired(self, limit: int, now: int) -> int:
        """Remove expired outcomes, those that expired first."""
        self._catch_up()
        heap, outcomes, count = self._by_expiry, self._outcomes, 0
        while heap and heap[0][0] <= now and count < limit:
            at, task_id = heappop(heap)
            outcome = outcomes.get(task_id)
            if outcome is not None and outcome[_EXPIRES_AT] == at:
                del outcomes[task_id]
                count += 1
        return count

    def _catch_up(self) -> None:
        if not self._fresh:
            return
        outcomes = self._outcomes
        for task_id in self._fresh:
            outcome = outcomes.get(task_id)
            expires_at = None if outcome is None else outcome[_EXPIRES_AT]
            if expires_at is not None:
                heappush(self._by_expiry, (expires_at, task_id))
        self._ids.extend(self._fresh)
        self._ids.sort()  # a long ordered run and a short tail: close to linear
        self._fresh.clear()
        room = _ROOM + 2 * len(outcomes)
        if len(self._ids) > room:
            self._ids = sorted(outcomes)
        if len(self._by_expiry) > room:
            expiries = ((outcome[_EXPIRES_AT], task_id) for task_id, outcome in outcomes.items())
            self._by_expiry = [(at, task_id) for at, task_id in expiries if at is not None]
            heapify(self._by_expiry)


def _is_expired(outcome: Outcome, now: int) -> bool:
    expires_at = outcome[_EXPIRES_AT]
    return expires_at is not None and expires_at <= now


def _record(task_id: str, outcome: Outcome) -> ResultRecord:
    return ResultRecord(
        id=task_id,
        seq=outcome[0],
        epoch=outcome[1],
        status=_STATES[outcome[2]],
        value=outcome[3],
        codec=outcome[4],
        error=outcome[5],
        ttl_ms=outcome[6],
        stored_at=outcome[7],
        expires_at=outcome[8],
    )
