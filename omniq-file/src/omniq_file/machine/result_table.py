"""Outcomes by task id, in memory."""

from __future__ import annotations

from bisect import bisect_right
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omniq.models.result import ResultRecord

__all__ = ["ResultTable"]

_ROOM = 1024


class ResultTable:
    """All outcomes."""

    __slots__ = ("_by_expiry", "_fresh", "_ids", "by_id")

    def __init__(self) -> None:
        self.by_id: dict[str, ResultRecord] = {}
        self._fresh: list[str] = []  # ids that are not in `_ids` yet
        self._ids: list[str] = []  # in order, with removed ones among them
        self._by_expiry: list[tuple[int, str]] = []  # a heap; entries of replaced outcomes are void

    def put(self, record: ResultRecord) -> None:
        """Store an outcome in place of what is there."""
        if record.id not in self.by_id:
            self._fresh.append(record.id)
        self.by_id[record.id] = record
        if record.expires_at is not None:
            heappush(self._by_expiry, (record.expires_at, record.id))
            if len(self._by_expiry) > _ROOM + 2 * len(self.by_id):
                lasting = ((each.expires_at, each.id) for each in self.by_id.values())
                self._by_expiry = [(at, task_id) for at, task_id in lasting if at is not None]
                heapify(self._by_expiry)

    def page(self, after: str | None, limit: int, now: int) -> list[ResultRecord]:
        """Return unexpired outcomes by id."""
        if self._fresh or len(self._ids) > _ROOM + 2 * len(self.by_id):
            self._ids = sorted(self.by_id)
            self._fresh.clear()
        found: list[ResultRecord] = []
        for place in range(0 if after is None else bisect_right(self._ids, after), len(self._ids)):
            if len(found) >= limit:
                break
            record = self.by_id.get(self._ids[place])
            if record is not None and (record.expires_at is None or record.expires_at > now):
                found.append(record)
        return found

    def expired(self, limit: int, now: int) -> list[str]:
        """Return the ids of expired outcomes, those that expired first."""
        heap, found = self._by_expiry, dict[str, int]()
        while heap and heap[0][0] <= now and len(found) < limit:
            at, task_id = heappop(heap)
            record = self.by_id.get(task_id)
            if record is not None and record.expires_at == at:
                found[task_id] = at
        for task_id, at in found.items():  # whoever removes them may fail to
            heappush(heap, (at, task_id))
        return list(found)

    def __iter__(self) -> Iterator[ResultRecord]:
        return iter(self.by_id.values())
