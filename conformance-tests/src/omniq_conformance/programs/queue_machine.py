"""The machine of the queue family: what its operations mean, by the model of the task queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.config import Role
from omniq.models.record import Completion, Failure, Release, Token
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq_conformance.model.events import EventsModel
from omniq_conformance.model.results import ResultsModel
from omniq_conformance.model.task_queue import TaskQueueModel
from omniq_conformance.programs.calls import Call, Entry, Reopen, Step, UseHandle
from omniq_conformance.programs.queue_dump import dump, in_order_of
from omniq_conformance.programs.queue_names import QueueNames, TokenRef
from omniq_conformance.programs.queue_watch import QueueWatch
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from omniq_conformance.programs.program import Op

__all__ = ["START", "QueueMachine"]

START = 1_000_000
"""When every program begins, in milliseconds since the epoch."""


class QueueMachine:
    """Runs queue operations on the model.

    `QueueNames` tells how they name things. Times are relative to the clock, which only the operation `clock` moves.
    """

    def __init__(self, mode: str) -> None:
        joined = Mode(mode).joined
        self.results = ResultsModel() if Role.RESULT_STORAGE in joined else None
        self.model = TaskQueueModel(self.results, events_joined=Role.EVENT_STORAGE in joined)
        self.events = None if Role.EVENT_STORAGE in joined else EventsModel()
        self.now = START
        self.claims: list[tuple[str, str]] = []
        self.names = QueueNames(self.model)
        self.serial = 0
        self.watch = QueueWatch(self.model)

    @property
    def seen(self) -> Counter[str]:
        """How often each noteworthy thing happened."""
        return self.watch.seen

    def run(self, op: Op) -> Iterable[Step]:
        """Do the operation on the model and yield the steps that the backend has to follow."""
        self.serial += 1
        yield from getattr(self, f"_{op.name}")(**op.args)

    def finish(self) -> Iterable[Step]:
        """Yield the reads that compare the whole store with the model."""
        yield from dump(self.model, self.results, self.watch.steps, self.now)
        if self.events is not None:
            relayed = [event for event in self.events.log if event is not None]
            yield Call("events", "read", (), {"limit": len(relayed) + 1}, relayed)

    # Calls

    def _result(self, id: str, token: Token, status: TaskStatus, error: str | None = None) -> ResultRecord | None:
        if self.results is None:
            return None
        value = b"%d" % self.serial if status is TaskStatus.COMPLETED else None
        ttl_ms = None if self.serial % 3 else 20
        return ResultRecord(
            id=id, seq=token.seq, epoch=token.epoch, status=status, value=value, error=error, ttl_ms=ttl_ms
        )

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Call:
        before = len(self.model.store.log)
        expected = getattr(self.model, method)(*args, **kwargs)
        self.watch.called(method, args, expected, before)
        return Call("task_queue", method, args, kwargs, expected)

    def _enqueue(self, specs: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
        made = [self.names.spec(given, f"{self.serial}.{place}", self.now) for place, given in enumerate(specs)]
        yield self._call("enqueue", made, now=self.now)

    def _claim(self, queues: Sequence[str], limit: int, worker: str, lease: int) -> Iterator[Step]:
        claim_id = f"{self.serial:016x}"
        self.watch.claiming(queues, limit, self.now)
        call = self._call("claim", queues, limit, worker, lease, claim_id, now=self.now)
        self.claims.append((worker, claim_id))
        self.names.granted += [(grant.id, grant.token) for grant in call.expected]
        yield call

    def _held(self, back: int, worker: str | None = None) -> Iterator[Step]:
        claimer, claim_id = self.claims[-1 - back] if back < len(self.claims) else ("w0", "0" * 16)
        yield self._call("held", worker or claimer, claim_id)

    def _heartbeat(self, tokens: Sequence[TokenRef], lease: int) -> Iterator[Step]:
        named = [self.names.token(ref) for ref in tokens]
        self.watch.settling("heartbeat", named, self.now)
        yield self._call("heartbeat", named, lease, now=self.now)

    def _complete(self, tokens: Sequence[TokenRef], *, result: bool = True) -> Iterator[Step]:
        named = [self.names.token(ref) for ref in tokens]
        self.watch.settling("complete", named, self.now)
        items = [
            Completion(id, token, self._result(id, token, TaskStatus.COMPLETED) if result else None)
            for id, token in named
        ]
        yield self._call("complete", items, now=self.now)

    def _fail(self, tokens: Sequence[TokenRef], retry: int | None, *, result: bool = True) -> Iterator[Step]:
        named = [self.names.token(ref) for ref in tokens]
        self.watch.settling("fail", named, self.now)
        retry_at = None if retry is None else self.now + retry
        items = [
            Failure(id, token, "boom", retry_at, self._result(id, token, TaskStatus.FAILED, "{}") if result else None)
            for id, token in named
        ]
        yield self._call("fail", items, now=self.now)

    def _release(self, tokens: Sequence[TokenRef], delay: int) -> Iterator[Step]:
        named = [self.names.token(ref) for ref in tokens]
        self.watch.settling("release", named, self.now)
        yield self._call("release", [Release(id, token, self.now + delay) for id, token in named], now=self.now)

    def _recover(self, queues: Sequence[str]) -> Iterator[Step]:
        yield self._call("recover", queues, now=self.now)

    def _cancel(self, ids: Sequence[str | int]) -> Iterator[Step]:
        yield self._call("cancel", [self.names.id(ref) for ref in ids], now=self.now)

    def _redrive(self, ids: Sequence[str | int]) -> Iterator[Step]:
        yield self._call("redrive", [self.names.id(ref) for ref in ids], now=self.now)

    def _pause(self, queues: Sequence[str]) -> Iterator[Step]:
        yield self._call("pause", queues)

    def _resume(self, queues: Sequence[str]) -> Iterator[Step]:
        yield self._call("resume", queues)

    def _purge(self, states: Sequence[str], age: int, limit: int, pinned_age: int | None = None) -> Iterator[Step]:
        wanted = frozenset(TaskStatus(name) for name in states)
        pinned = None if pinned_age is None else self.now - pinned_age
        self.watch.purging(wanted, self.now - age)
        yield self._call("purge", wanted, self.now - age, limit, pinned_before=pinned)

    # Reads

    def _get(self, ids: Sequence[str | int]) -> Iterator[Step]:
        yield self._call("get", [self.names.id(ref) for ref in ids])

    def _list(
        self,
        filter: Mapping[str, Any] | None = None,
        after: str | int | None = None,
        limit: int = 3,
        *,
        desc: bool = False,
    ) -> Iterator[Step]:
        seq = None
        if after is not None and (record := self.model.store.records.get(self.names.id(after))) is not None:
            seq = record.seq
            yield self._call("get", [record.id])  # so that the backend's own number is known
        yield self._call("list", self.names.filter(filter, self.now), after=seq, limit=limit, desc=desc, now=self.now)

    def _count(self, filter: Mapping[str, Any] | None = None) -> Iterator[Step]:
        yield self._call("count", self.names.filter(filter, self.now), now=self.now)

    def _queues(self) -> Iterator[Step]:
        yield self._call("queues", now=self.now)

    def _next_at(self, queues: Sequence[str]) -> Iterator[Step]:
        yield self._call("next_at", queues)

    def _wait_done(self, ids: Sequence[str | int]) -> Iterator[Step]:
        # The call takes no `now`, so what waits and may expire is left out.
        named = [self.names.id(ref) for ref in ids]
        records = [self.model.store.records.get(id) for id in named]
        named = [id for id, r in zip(named, records, strict=True) if r is None or r.expires_at is None]
        yield Call("task_queue", "wait_done", (named, 0.0), {}, self.model.wait_done(named, now=self.now))

    def _outbox(self, limit: int, min_age: int = 0) -> Iterator[Step]:
        expected = self.model.outbox(min_age_ms=min_age, now=self.now)
        kwargs = {"min_age_ms": min_age, "now": self.now}
        yield Call("task_queue", "outbox", (limit,), kwargs, expected, in_order_of(self.watch.steps, limit))

    def _ack(self, skip: int, number: int) -> Iterator[Step]:
        yield from self._outbox(1000)
        entries = self.model.outbox(now=self.now)[skip : skip + number]
        self._call("outbox_ack", entries)
        yield Call("task_queue", "outbox_ack", ([Entry(entry.event_id) for entry in entries],))

    def _relay(self, number: int, *, ack: bool = True) -> Iterator[Step]:
        """Bring entries of the outbox to the event storage, as every worker does; some die before the ack."""
        if self.events is None:
            return
        yield from self._outbox(1000)
        entries = self.model.outbox(number, now=self.now)
        named = [Entry(entry.event_id) for entry in entries]
        new = self.events.append(entries)
        self.watch.seen["relayed"] += bool(new)
        self.watch.seen["relayed again"] += new < len(entries)
        yield Call("events", "append", (named,), {}, new)
        if ack:
            self._call("outbox_ack", entries)
            yield Call("task_queue", "outbox_ack", (named,))

    # The clock and the handles

    def _deadlines(self, of: Sequence[str]) -> Sequence[int]:
        """Return when something changes without a call, of these tasks or of everything."""
        return self.model.deadlines(of) + (self.results.deadlines() if self.results and not of else [])

    def _clock(
        self, by: int | None = None, to: int | None = None, of: Sequence[str] = (), delta: int = 0
    ) -> Iterator[Step]:
        """Move by so many milliseconds, or to a deadline and `delta` further.

        The deadline is number `to` of those to come, or the next one of the tasks `of`.
        """
        target = self.now + (by or 0)
        if by is None:
            future = sorted(time for time in self._deadlines(of) if time > self.now)
            target = (future[(to or 0) % len(future)] if future else self.now) + delta
        self.watch.clock(self.now, target)
        self.now = target
        yield from ()

    def _reopen(self) -> Iterator[Step]:
        self.watch.reopened()
        yield Reopen()

    def _handle(self, number: int) -> Iterator[Step]:
        self.watch.seen[f"handle {number}"] += 1
        yield UseHandle(number)

    def _dump(self) -> Iterator[Step]:
        yield from self.finish()
