"""Programs of a queue and the result storage beside it: workers that die, late outcomes, relays, expiry and redrive."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from omniq.models.record import Completion, Failure
from omniq.models.result import ResultRecord
from omniq.models.status import TERMINAL, TaskStatus
from omniq_conformance.programs.calls import Call
from omniq_conformance.programs.drawing import Drawing, choose, operation, programs, several
from omniq_conformance.programs.pair_drawing import ORDINARY, RELAYS, TOKENS
from omniq_conformance.programs.queue_dump import same_outcomes
from omniq_conformance.programs.relaying_machine import RELAYING_SOMETIMES, RelayingMachine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from omniq.models.record import TaskRecord, Token
    from omniq_conformance.programs.calls import Step
    from omniq_conformance.programs.program import Program
    from omniq_conformance.programs.queue_names import TokenRef

__all__ = ["QUEUE_RESULTS_SOMETIMES", "RELAYED_RESULTS_SOMETIMES", "QueueResultsMachine", "queue_results_programs"]

QUEUE_RESULTS_SOMETIMES = frozenset(
    {
        "completed with its outcome",
        "failed with its outcome",
        "lost, with an outcome",
        "outcome found",
        "outcome expired",
        "outcomes purged",
        "outcome deleted",
        "a task is purged before its outcome",
        "redriven with an outcome",
        "outcome of a redriven task replaced",
        "clock moved back",
    }
)
RELAYED_RESULTS_SOMETIMES = RELAYING_SOMETIMES | {
    "died before the commit",
    "outcome of an earlier run replaced",
    "late outcome refused",
    "a relay finds no outcome",
    "a relay finds the outcome of an earlier run",
    "a relay finds the outcome of a later run",
    "a relay finds the worker's outcome",
    "a relay finds a failure that became a cancel",
    "a relay stores an outcome",
    "a relay is too late with an outcome",
}
"""What else must have been seen where the results are not joined."""


class QueueResultsMachine(RelayingMachine):
    """Runs operations on the models of the queue and of the results."""

    def __init__(self, mode: str) -> None:
        super().__init__(mode)
        self.removed: set[tuple[str, int, int]] = set()
        self.redriven: set[str] = set()
        self.stored: set[tuple[str, int, int]] = set()
        self.verdicts: dict[tuple[str, Token], tuple[bool, int | None]] = {}

    def finish(self) -> Iterable[Step]:
        """Relay what is left, twice, and compare everything; every end has its outcome."""
        yield from self._relay_rest()
        yield from super().finish()
        heads = dict(self.model.store.records)
        ids = sorted({*heads, *self.outcomes.stored})
        judge = partial(self._are_final, [heads.get(id) for id in ids])
        yield Call("results", "get", (ids,), {"now": self.now}, self.outcomes.get(ids, now=self.now), judge)
        listed = self.outcomes.list(limit=1000, now=self.now)
        yield Call("results", "list", (), {"limit": 1000, "now": self.now}, listed, same_outcomes)

    def _are_final(
        self,
        heads: Sequence[TaskRecord | None],
        expected: Sequence[ResultRecord | None],
        actual: Sequence[ResultRecord | None],
    ) -> bool:
        """Tell whether outcomes are the model's, and those of all that ended (I9)."""
        return same_outcomes(expected, actual) and all(
            head is None
            or head.state not in TERMINAL
            or (head.id, head.seq, head.epoch) in self.removed
            or self._is_expired(head.id)
            or (record is not None and (*record.order, record.status) == (head.seq, head.epoch, head.state))
            for head, record in zip(heads, actual, strict=True)
        )

    def _is_expired(self, id: str) -> bool:
        return id in self.outcomes.stored and self.outcomes.get([id], now=self.now) == [None]

    # Workers

    def _settle(
        self,
        tokens: Sequence[TokenRef],
        *,
        failed: bool = False,
        retry: int | None = None,
        dies: bool = False,
        ttl: int | None = None,
    ) -> Iterator[Step]:
        """Store outcomes, then complete or fail, as a worker does; one that dies leaves only the outcomes.

        A run has one verdict. Who settles it again, since a reply was lost, does not store the outcome again.
        """
        # Only who was granted a run has an outcome of it; the nonce of a forged token is not in the outcome's order.
        named = [each for each in map(self.names.token, tokens) if each in self.names.granted]
        if not named:
            return
        failed, retry = self.verdicts.get(named[0], (failed, retry))
        named = [each for each in named if self.verdicts.setdefault(each, (failed, retry)) == (failed, retry)]
        status = TaskStatus.FAILED if failed else TaskStatus.COMPLETED
        records = [self._outcome(id, token, status, ttl) for id, token in named]
        new = [record for record in records if (record.id, *record.order) not in self.stored]
        if self.results is None and retry is None and new:
            self.stored |= {(record.id, *record.order) for record in new}
            yield self._put(new)
        if dies:
            self.seen["died before the commit"] += 1
            return
        joined = records if self.results is not None else [None] * len(records)
        there = {id for id, _ in named} & set(self.outcomes.stored) & self.redriven
        if failed:
            at = None if retry is None else self.now + retry
            failures = [Failure(id, token, "boom", at, r) for (id, token), r in zip(named, joined, strict=True)]
            call = self._call("fail", failures, now=self.now)
        else:
            completions = [Completion(id, token, r) for (id, token), r in zip(named, joined, strict=True)]
            call = self._call("complete", completions, now=self.now)
        self.seen["completed with its outcome"] += "ok" in call.expected
        self.seen["failed with its outcome"] += "FAILED" in call.expected and retry is None
        self.seen["lost, with an outcome"] += "lost" in call.expected
        self.seen["outcome of a redriven task replaced"] += bool(there) and "ok" in call.expected
        yield call

    def _outcome(self, id: str, token: Token, status: TaskStatus, ttl: int | None) -> ResultRecord:
        done = status is TaskStatus.COMPLETED
        return ResultRecord(
            id=id,
            seq=token.seq,
            epoch=token.epoch,
            status=status,
            value=b"%d" % self.serial if done else None,
            error=None if done else '{"type":"Boom"}',
            ttl_ms=20 if ttl is None and not self.serial % 3 else ttl,
        )

    def _put(self, records: Sequence[ResultRecord]) -> Call:
        for record in records:
            old = self.outcomes.stored.get(record.id)
            self.seen["outcome of an earlier run replaced"] += old is not None and old.order < record.order
        answer = self.outcomes.put(records, now=self.now)
        self.seen["late outcome refused"] += not all(answer)
        return Call("results", "put", (records,), {"now": self.now}, answer)

    def _redrive(self, ids: Sequence[str | int]) -> Iterator[Step]:
        named = {self.names.id(ref) for ref in ids}
        yield from super()._redrive(ids)
        records = self.model.store.records
        again = {id for id in named if id in records and records[id].state is TaskStatus.PENDING}
        self.seen["redriven with an outcome"] += bool(again & set(self.outcomes.stored))
        self.redriven |= again

    def _purge(self, states: Sequence[str], age: int, limit: int, pinned_age: int | None = None) -> Iterator[Step]:
        yield from super()._purge(states, age, limit, pinned_age)
        gone = {record.id for record in self.model.store.removed} - set(self.model.store.records)
        self.seen["a task is purged before its outcome"] += bool(gone & set(self.outcomes.stored))

    # Who waits for outcomes, and retention

    def _results(self, ids: Sequence[str | int]) -> Iterator[Step]:
        named = [self.names.id(ref) for ref in ids]
        answer = self.outcomes.get(named, now=self.now)
        self.seen["outcome found"] += any(answer)
        self.seen["outcome expired"] += any(map(self._is_expired, named))
        yield Call("results", "get", (named,), {"now": self.now}, answer, same_outcomes)

    def _purge_results(self) -> Iterator[Step]:
        before = dict(self.outcomes.stored)
        number = self.outcomes.purge_expired(now=self.now)
        self.seen["outcomes purged"] += bool(number)
        self._note_removed(before)
        yield Call("results", "purge_expired", (), {"now": self.now}, number)

    def _delete_results(self, ids: Sequence[str | int]) -> Iterator[Step]:
        named = list(dict.fromkeys(self.names.id(ref) for ref in ids))
        before = dict(self.outcomes.stored)
        answer = self.outcomes.delete(named)
        self.seen["outcome deleted"] += any(answer)
        self._note_removed(before)
        yield Call("results", "delete", (named,), {}, answer)

    def _note_removed(self, before: Mapping[str, ResultRecord]) -> None:
        self.removed |= {(id, *record.order) for id, record in before.items() if id not in self.outcomes.stored}


_ids = several(choose(*range(6), "t0", "t1"), 2)
_rarely = choose(False, False, True)  # noqa: FBT003 - values to choose
_DRAWING = Drawing(
    [
        *ORDINARY,
        *RELAYS,
        (7, operation("settle", tokens=TOKENS, failed=_rarely, dies=_rarely)),
        (2, operation("settle", tokens=TOKENS, failed=lambda _: True, retry=choose(0, 4))),
        (3, operation("results", ids=_ids)),
        (1, operation("purge_results")),
        (1, operation("delete_results", ids=_ids)),
    ]
)


def queue_results_programs(mode: str) -> SearchStrategy[Program]:
    """Return the strategy of programs of a queue and its results."""
    return programs("queue-results", mode, _DRAWING, shortest=25, longest=60)
