"""Programs of the result storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq_conformance.model.results import ResultsModel
from omniq_conformance.programs.drawing import Drawing, choose, maybe, operation, programs, several
from omniq_conformance.programs.role_machine import RoleMachine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from random import Random

    from hypothesis.strategies import SearchStrategy

    from omniq_conformance.programs.calls import Step
    from omniq_conformance.programs.program import Program

__all__ = ["RESULTS_SOMETIMES", "ResultsMachine", "results_programs"]

RESULTS_SOMETIMES = frozenset(
    {
        "stored",
        "stored again",
        "superseded",
        "refused an older one",
        "refused an older one after the newer expired",
        "found",
        "expired",
        "deleted",
        "deleted after it expired",
        "purged",
        "purged the first",
        "clock moved back",
        "reopened",
    }
)

_PAGE = 2


class ResultsMachine(RoleMachine):
    """Runs operations on the model of the result storage."""

    role = "results"

    def __init__(self, mode: str) -> None:
        del mode
        super().__init__()
        self.model = ResultsModel()

    def deadlines(self) -> list[int]:
        """Return when outcomes expire."""
        return self.model.deadlines()

    def finish(self) -> Iterable[Step]:
        """Read everything, by id and by pages."""
        ids = sorted(self.model.stored)
        yield self.call("get", [*ids, "nobody"], now=self.now, expected=self.model.get([*ids, "nobody"], now=self.now))
        after = None
        while True:
            page = self.model.list(after=after, limit=_PAGE, now=self.now)
            yield self.call("list", after=after, limit=_PAGE, now=self.now, expected=page)
            if not page:
                return
            after = page[-1].id

    def _expired(self, id: str) -> bool:
        record = self.model.stored.get(id)
        return record is not None and self.model.get([id], now=self.now) == [None]

    def _put(self, records: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
        made = [
            ResultRecord(
                id=given["id"],
                seq=given["seq"],
                epoch=given["epoch"],
                status=TaskStatus(given.get("status", "COMPLETED")),
                value=b"%d.%d" % (self.serial, place) if "status" not in given else None,
                codec=given.get("codec", "json"),
                error=None if "status" not in given else f'{{"type":"E{self.serial}"}}',
                ttl_ms=given.get("ttl"),
            )
            for place, given in enumerate(records)
        ]
        for record in made:
            old = self.model.stored.get(record.id)
            if old is not None:
                self.seen["stored again"] += old.order == record.order
                self.seen["superseded"] += old.order < record.order
                self.seen["refused an older one"] += old.order > record.order
                self.seen["refused an older one after the newer expired"] += old.order > record.order and self._expired(
                    record.id
                )
        answer = self.model.put(made, now=self.now)
        self.seen["stored"] += any(answer)
        yield self.call("put", made, now=self.now, expected=answer)

    def _get(self, ids: Sequence[str]) -> Iterator[Step]:
        self.seen["expired"] += any(map(self._expired, ids))
        answer = self.model.get(ids, now=self.now)
        self.seen["found"] += any(answer)
        yield self.call("get", ids, now=self.now, expected=answer)

    def _delete(self, ids: Sequence[str]) -> Iterator[Step]:
        self.seen["deleted after it expired"] += any(map(self._expired, ids))
        answer = self.model.delete(ids)
        self.seen["deleted"] += any(answer)
        yield self.call("delete", ids, expected=answer)

    def _list(self, after: str | None, limit: int) -> Iterator[Step]:
        answer = self.model.list(after=after, limit=limit, now=self.now)
        yield self.call("list", after=after, limit=limit, now=self.now, expected=answer)

    def _purge(self, limit: int) -> Iterator[Step]:
        expired = self.model.expired(self.now)
        while limit < len(expired) and expired[limit].expires_at == expired[limit - 1].expires_at:
            limit += 1  # which of two goes first that expired at the same time is the store's choice
        left = self.model.purge_expired(limit, now=self.now)
        self.seen["purged"] += bool(left)
        self.seen["purged the first"] += left < len(expired)
        yield self.call("purge_expired", limit, now=self.now, expected=left)


# Code points and UTF-16 units order the last two differently.
_IDS = ("a", "A", "b", "b/", "\uffee", "\U0001f600")


def _record(rng: Random) -> dict[str, Any]:
    ttl = maybe(0.7, ttl=choose(0, 1, 2, 4, 10, 25))
    options = maybe(
        0.4,
        status=choose("FAILED", "CANCELLED"),
        codec=choose("msgpack"),
    )
    return {
        "id": rng.choice(_IDS),
        "seq": rng.choice([1, 1, 2]),
        "epoch": rng.choice([0, 1, 1, 2]),
        **ttl(rng),
        **options(rng),
    }


_ids = several(choose(*_IDS), 3)
_DRAWING = Drawing(
    [
        (8, operation("put", records=several(_record, 3))),
        (4, operation("get", ids=_ids)),
        (2, operation("delete", ids=_ids)),
        (2, operation("list", after=choose(None, *_IDS), limit=choose(1, 2, 50))),
        (3, operation("purge", limit=choose(1, 1, 50))),
        (6, operation("clock", to=choose(0, 0, 1), delta=choose(-1, 0, 0, 1))),
        (2, operation("clock", by=choose(1, -7))),
        (1, operation("reopen")),
        (1, operation("handle", number=choose(0, 1))),
    ]
)


def results_programs(mode: str) -> SearchStrategy[Program]:
    """Return the strategy of programs of the result storage."""
    return programs("results", mode, _DRAWING, shortest=20, longest=60)
