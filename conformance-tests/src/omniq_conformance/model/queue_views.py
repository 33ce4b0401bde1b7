"""The reading half of the task queue's reference model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.record import QueueStats, TaskFilter
from omniq.models.status import TERMINAL, TaskStatus, TaskView
from omniq_conformance.model.queue_store import QueueStore

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Sequence

    from omniq.models.record import TaskRecord
    from omniq_conformance.model.results import ResultsModel

__all__ = ["QueueViews"]

_NO_FILTER = TaskFilter()


class QueueViews:
    """What can be seen of a task queue, without changing it."""

    def __init__(self, results: ResultsModel | None = None, *, events_joined: bool | None = None) -> None:
        self.store = QueueStore(results, events_joined=events_joined)

    # What the operations look for

    @staticmethod
    def is_expired(record: TaskRecord, now: int) -> bool:
        """Tell whether the task still waits although its `expires_at` has come."""
        return record.state is TaskStatus.PENDING and record.expires_at is not None and record.expires_at <= now

    @staticmethod
    def rank(record: TaskRecord) -> tuple[int, int, int]:
        """Return the sort key of the claim order."""
        return -record.priority, record.ready_at, record.seq

    def ready(self, queues: Sequence[str], now: int) -> builtins.list[TaskRecord]:
        """Return the tasks that a claim may start, best first."""
        open_queues = set(queues) - self.store.paused
        found = (
            r
            for r in self.store.records.values()
            if r.state is TaskStatus.PENDING and r.queue in open_queues and r.ready_at <= now
        )
        return sorted(found, key=self.rank)

    def stale(self, queues: Sequence[str], now: int) -> builtins.list[TaskRecord]:
        """Return the runs whose lease has run out, in the order of their recovery."""
        found = (
            r
            for r in self.store.records.values()
            if r.state is TaskStatus.RUNNING
            and r.queue in queues
            and r.lease_until is not None
            and r.lease_until <= now
        )
        return sorted(found, key=lambda r: (r.lease_until, r.seq))

    def expired(self, queues: Sequence[str], now: int) -> builtins.list[TaskRecord]:
        """Return the tasks that waited too long, in the order in which they are ended."""
        found = (r for r in self.store.records.values() if r.queue in queues and self.is_expired(r, now))
        return sorted(found, key=lambda r: (r.expires_at, r.seq))

    def deadlines(self, ids: Sequence[str] = ()) -> builtins.list[int]:
        """Return every time at which something changes without a call, ascending.

        Args:
            ids: Of these tasks and of the runs of these series only.
        """
        times: set[int | None] = set()
        for r in self.store.records.values():
            if ids and r.id not in ids and r.series_id not in ids:
                continue
            if r.state is TaskStatus.PENDING:
                times |= {r.ready_at, r.expires_at}
            elif r.state is TaskStatus.RUNNING:
                times.add(r.lease_until)
        return sorted(time for time in times if time is not None)

    # The operations that change nothing

    def view(self, record: TaskRecord, now: int) -> TaskView | None:
        """Return the view that the record is in, None if it is in none."""
        if self.is_expired(record, now):
            return TaskView.EXPIRED
        if record.state is TaskStatus.PENDING:
            return TaskView.READY if record.ready_at <= now else TaskView.SCHEDULED
        if record.state is TaskStatus.RUNNING and record.lease_until is not None and record.lease_until <= now:
            return TaskView.STALE
        return None

    def matches(self, filter: TaskFilter, record: TaskRecord, now: int) -> bool:
        """Tell whether the filter means the record."""
        wanted = (
            filter.states is None or not filter.states.isdisjoint({record.state, self.view(record, now)}),
            filter.queues is None or record.queue in filter.queues,
            filter.funcs is None or record.body.func in filter.funcs,
            filter.unique_key is None or record.unique_key == filter.unique_key,
            filter.series_id is None or record.series_id == filter.series_id,
            filter.ids is None or record.id in filter.ids,
            filter.enqueued_from is None or record.enqueued_at >= filter.enqueued_from,
            filter.enqueued_before is None or record.enqueued_at < filter.enqueued_before,
        )
        return all(wanted)

    def get(self, ids: Sequence[str]) -> builtins.list[TaskRecord | None]:
        """Answer `TaskQueue.get`."""
        return [self.store.records.get(id) for id in ids]

    def list(
        self,
        filter: TaskFilter | None = None,
        *,
        after: int | None = None,
        limit: int = 100,
        desc: bool = False,
        now: int,
    ) -> builtins.list[TaskRecord]:
        """Answer `TaskQueue.list`."""
        found = [
            r
            for r in self.store.records.values()
            if self.matches(filter or _NO_FILTER, r, now)
            and (after is None or (r.seq < after if desc else r.seq > after))
        ]
        return sorted(found, key=lambda r: r.seq, reverse=desc)[:limit]

    def count(self, filter: TaskFilter | None = None, *, now: int) -> int:
        """Answer `TaskQueue.count`."""
        return sum(self.matches(filter or _NO_FILTER, r, now) for r in self.store.records.values())

    def queues(self, *, now: int) -> builtins.list[QueueStats]:
        """Answer `TaskQueue.queues`."""
        names = {r.queue for r in self.store.records.values()} | self.store.paused
        return [self._stats(name, now) for name in sorted(names)]

    def _stats(self, name: str, now: int) -> QueueStats:
        mine = [r for r in self.store.records.values() if r.queue == name]
        ready = [r.ready_at for r in mine if self.view(r, now) is TaskView.READY]
        return QueueStats(
            name=name,
            paused=name in self.store.paused,
            scheduled=sum(self.view(r, now) is TaskView.SCHEDULED for r in mine),
            ready=len(ready),
            expired=sum(self.is_expired(r, now) for r in mine),
            running=_number(mine, TaskStatus.RUNNING),
            stale=sum(self.view(r, now) is TaskView.STALE for r in mine),
            completed=_number(mine, TaskStatus.COMPLETED),
            failed=_number(mine, TaskStatus.FAILED),
            cancelled=_number(mine, TaskStatus.CANCELLED),
            oldest_ready_at=min(ready, default=None),
        )

    def next_at(self, queues: Sequence[str]) -> int | None:
        """Answer `TaskQueue.next_at`."""
        mine = [r for r in self.store.records.values() if r.queue in queues]
        times = [r.ready_at for r in mine if r.state is TaskStatus.PENDING and r.queue not in self.store.paused]
        times += [r.lease_until for r in mine if r.state is TaskStatus.RUNNING and r.lease_until is not None]
        return min(times, default=None)

    def wait_done(self, ids: Sequence[str], *, now: int) -> dict[str, TaskStatus | None]:
        """Answer `TaskQueue.wait_done` of a call that does not wait."""
        done: dict[str, TaskStatus | None] = {}
        for id in ids:
            record = self.store.records.get(id)
            if record is None:
                done[id] = None
            elif record.state in TERMINAL:
                done[id] = record.state
            elif self.is_expired(record, now):
                done[id] = TaskStatus.FAILED
        return done


def _number(records: Iterable[TaskRecord], state: TaskStatus) -> int:
    return sum(r.state is state for r in records)
