"""The machine of the queue family: what its operations mean, by the model of the task queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.record import Completion, Failure, Release, TaskBody, TaskFilter, TaskSpec, Token
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus, TaskView
from omniq_conformance.model.results import ResultsModel
from omniq_conformance.model.task_queue import TaskQueueModel
from omniq_conformance.programs.calls import Call, Reopen, Step, UseHandle
from omniq_conformance.programs.queue_dump import dump, in_order_of
from omniq_conformance.programs.queue_watch import QueueWatch

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from omniq_conformance.programs.program import Op

__all__ = ["START", "QueueMachine"]

START = 1_000_000
"""When every program begins, in milliseconds since the epoch."""

TokenRef = tuple[str | None, int, str]
"""A task, how many of its tokens back, and how the token is forged (empty: not).

The task None is any one that was ever claimed; `*` is one of those that run, and the number tells which.
"""

_NOBODY = Token(1, 1, "f" * 16)
_STATES: Mapping[str, TaskStatus | TaskView] = {s.value: s for kind in (TaskStatus, TaskView) for s in kind}


class QueueMachine:
    """Runs queue operations on the model.

    Tasks are named by id, by a number that counts the stored ones, or by `*0`, `*1`, ... for those that run; the id `+`
    is a new one. Times are relative to the clock, which only the
    operation `clock` moves.
    """

    def __init__(self, mode: str) -> None:
        self.results = ResultsModel() if mode == "joined" else None
        self.model = TaskQueueModel(self.results)
        self.now = START
        self.claims: list[tuple[str, str]] = []
        self.granted: list[tuple[str, Token]] = []
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

    # How operations name things

    def _id(self, ref: str | int) -> str:
        if isinstance(ref, str) and not ref.startswith("*"):
            return ref
        records = self.model.store.running() if isinstance(ref, str) else self.model.store.records.values()
        known = sorted(records, key=lambda r: r.seq)
        ref = int(ref[1:]) if isinstance(ref, str) else ref
        return known[ref % len(known)].id if known else "nobody"

    def _token(self, ref: Sequence[Any]) -> tuple[str, Token]:
        task, back, forgery = ref
        if task == "*":
            running = sorted(self.model.store.running(), key=lambda r: r.seq)
            named = [(r.id, r.token) for r in running]
            back %= len(named) or 1
        else:
            named = [grant for grant in reversed(self.granted) if task is None or grant[0] == task]
        id, token = named[back] if back < len(named) else (task or "nobody", _NOBODY)
        match forgery:
            case "seq":
                token = token._replace(seq=token.seq + 1_000_000)
            case "epoch":
                token = token._replace(epoch=token.epoch + 1)
            case "older":
                token = token._replace(epoch=token.epoch - 1)
            case "nonce":
                token = token._replace(nonce=token.nonce[::-1])
            case _:
                pass
        return id, token

    def _filter(self, given: Mapping[str, Any] | None) -> TaskFilter | None:
        if given is None:
            return None
        conditions: dict[str, Any] = dict(given)
        for name in ("enqueued_from", "enqueued_before"):
            if name in given:
                conditions[name] = self.now + given[name]
        if "states" in given:
            conditions["states"] = frozenset(_STATES[name] for name in given["states"])
        if "ids" in given:
            conditions["ids"] = frozenset(self._id(ref) for ref in given["ids"])
        for name in ("queues", "funcs"):
            if name in given:
                conditions[name] = frozenset(given[name])
        return TaskFilter(**conditions)

    def _spec(self, given: Mapping[str, Any], place: int) -> TaskSpec:
        eta, expires = given.get("eta"), given.get("expires")
        body = TaskBody(
            func=given.get("func", "pkg.f"),
            args=b"[%d,%d]" % (self.serial, place),
            headers={"serial": str(self.serial)},
            result_ttl_ms=given.get("ttl"),
        )
        return TaskSpec(
            id=f"n{self.serial}.{place}" if given["id"] == "+" else given["id"],
            body=body,
            queue=given.get("queue", "a"),
            priority=given.get("priority", 0),
            eta=None if eta is None else self.now + eta,
            max_attempts=given.get("attempts", 3),
            unique_key=given.get("unique"),
            expires_at=None if expires is None else self.now + expires,
            interval_ms=given.get("interval"),
            pinned=given.get("pinned", False),
        )

    def _result(self, id: str, token: Token, status: TaskStatus, error: str | None = None) -> ResultRecord | None:
        if self.results is None:
            return None
        value = b"%d" % self.serial if status is TaskStatus.COMPLETED else None
        ttl_ms = None if self.serial % 3 else 20
        return ResultRecord(
            id=id, seq=token.seq, epoch=token.epoch, status=status, value=value, error=error, ttl_ms=ttl_ms
        )

    # Calls

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Call:
        before = len(self.model.store.log)
        expected = getattr(self.model, method)(*args, **kwargs)
        self.watch.called(method, args, expected, before)
        return Call("task_queue", method, args, kwargs, expected)

    def _enqueue(self, specs: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
        made = [self._spec(given, place) for place, given in enumerate(specs)]
        yield self._call("enqueue", made, now=self.now)

    def _claim(self, queues: Sequence[str], limit: int, worker: str, lease: int) -> Iterator[Step]:
        claim_id = f"{self.serial:016x}"
        self.watch.claiming(queues, limit, self.now)
        call = self._call("claim", queues, limit, worker, lease, claim_id, now=self.now)
        self.claims.append((worker, claim_id))
        self.granted += [(grant.id, grant.token) for grant in call.expected]
        yield call

    def _held(self, back: int, worker: str | None = None) -> Iterator[Step]:
        claimer, claim_id = self.claims[-1 - back] if back < len(self.claims) else ("w0", "0" * 16)
        yield self._call("held", worker or claimer, claim_id)

    def _heartbeat(self, tokens: Sequence[TokenRef], lease: int) -> Iterator[Step]:
        named = [self._token(ref) for ref in tokens]
        self.watch.settling("heartbeat", named, self.now)
        yield self._call("heartbeat", named, lease, now=self.now)

    def _complete(self, tokens: Sequence[TokenRef], *, result: bool = True) -> Iterator[Step]:
        named = [self._token(ref) for ref in tokens]
        self.watch.settling("complete", named, self.now)
        items = [
            Completion(id, token, self._result(id, token, TaskStatus.COMPLETED) if result else None)
            for id, token in named
        ]
        yield self._call("complete", items, now=self.now)

    def _fail(self, tokens: Sequence[TokenRef], retry: int | None, *, result: bool = True) -> Iterator[Step]:
        named = [self._token(ref) for ref in tokens]
        self.watch.settling("fail", named, self.now)
        retry_at = None if retry is None else self.now + retry
        items = [
            Failure(id, token, "boom", retry_at, self._result(id, token, TaskStatus.FAILED, "{}") if result else None)
            for id, token in named
        ]
        yield self._call("fail", items, now=self.now)

    def _release(self, tokens: Sequence[TokenRef], delay: int) -> Iterator[Step]:
        named = [self._token(ref) for ref in tokens]
        self.watch.settling("release", named, self.now)
        yield self._call("release", [Release(id, token, self.now + delay) for id, token in named], now=self.now)

    def _recover(self, queues: Sequence[str]) -> Iterator[Step]:
        yield self._call("recover", queues, now=self.now)

    def _cancel(self, ids: Sequence[str | int]) -> Iterator[Step]:
        yield self._call("cancel", [self._id(ref) for ref in ids], now=self.now)

    def _redrive(self, ids: Sequence[str | int]) -> Iterator[Step]:
        yield self._call("redrive", [self._id(ref) for ref in ids], now=self.now)

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
        yield self._call("get", [self._id(ref) for ref in ids])

    def _list(
        self,
        filter: Mapping[str, Any] | None = None,
        after: str | int | None = None,
        limit: int = 3,
        *,
        desc: bool = False,
    ) -> Iterator[Step]:
        record = None if after is None else self.model.store.records.get(self._id(after))
        seq = None if record is None else record.seq
        yield self._call("list", self._filter(filter), after=seq, limit=limit, desc=desc, now=self.now)

    def _count(self, filter: Mapping[str, Any] | None = None) -> Iterator[Step]:
        yield self._call("count", self._filter(filter), now=self.now)

    def _queues(self) -> Iterator[Step]:
        yield self._call("queues", now=self.now)

    def _next_at(self, queues: Sequence[str]) -> Iterator[Step]:
        yield self._call("next_at", queues)

    def _wait_done(self, ids: Sequence[str | int]) -> Iterator[Step]:
        # The call takes no `now`, so what waits and may expire is left out.
        named = [self._id(ref) for ref in ids]
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
        yield self._call("outbox_ack", entries)

    # The clock and the handles

    def _clock(
        self, by: int | None = None, to: int | None = None, of: Sequence[str] = (), delta: int = 0
    ) -> Iterator[Step]:
        """Move by so many milliseconds, or to a deadline and `delta` further.

        The deadline is number `to` of those to come, or the next one of the tasks `of`.
        """
        target = self.now + (by or 0)
        if by is None:
            deadlines = self.model.deadlines(of) + (self.results.deadlines() if self.results and not of else [])
            future = sorted(time for time in deadlines if time > self.now)
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
