"""Family 09: what is stored, seen past the backend, is what the backend tells."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from omniq_conformance.dumps import dump
from omniq_conformance.harness import Harness
from omniq_conformance.outcomes import DivergenceError, UnverifiedError, VacuousError, named
from omniq_conformance.programs.pools import pool
from omniq_conformance.programs.session import execute
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omniq.models.config import Role
    from omniq_conformance.harness import OpenedStores

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_ALWAYS = 0
_KINDS = ("tasks", "results", "events", "schedules", "outbox")
_SHARE = 8
"""One of so many of the family's programs is run, as each is already run against the model."""


class Observed(Harness):
    """A harness that compares what is stored with what the backend tells, whenever a namespace is done with.

    Attributes:
        compared: How many records of each kind were compared.
    """

    def __init__(self, inner: Harness) -> None:
        super().__init__(inner.url)
        self.backend = inner.backend
        self.compared: Counter[str] = Counter()
        self._inner = inner

    async def open(self, namespace: str) -> OpenedStores:
        """Open it as the backend's harness does."""
        return await self._inner.open(namespace)

    async def destroy(self, namespace: str) -> None:
        """Compare, then remove."""
        try:
            await self._compare(namespace)
        except (DivergenceError, UnverifiedError):
            raise
        except Exception as error:
            raise DivergenceError(f"Reading everything that is stored raised {named(error)}") from error
        finally:
            await self._inner.destroy(namespace)

    def keeper(self, role: Role) -> Harness:
        """Return the harness that keeps a role."""
        return self._inner.keeper(role)

    async def _compare(self, namespace: str) -> None:
        opened = await self._inner.open(namespace)
        told = await _told(opened)
        stored = await self._inner.snapshot(namespace)
        await opened.close()
        if stored is None:
            msg = "What is stored can only be told by the backend itself. Write Harness.snapshot(), a view past it."
            raise UnverifiedError(msg)
        for kind in _KINDS:
            if kind in told and kind in stored:
                _equal(kind, told[kind], stored[kind])
                self.compared[kind] += len(told[kind])


async def _told(opened: OpenedStores) -> Mapping[str, Sequence[str]]:
    """Return everything that the backend tells; results as long as none has expired."""
    records = await dump(opened, _ALWAYS)
    told = {kind: list(found) for kind, found in records.items() if kind in {"tasks", "results", "schedules"}}
    if opened.events is not None:
        told["events"] = [f"{event.task_id}/{event.version}" for event in await opened.events.read(limit=10**6)]
    if opened.task_queue is not None:
        entries = await opened.task_queue.outbox(10**6, now=2**60)
        told["outbox"] = [f"{entry.task_id}/{entry.version}" for entry in entries]
    return told


def _equal(kind: str, told: Sequence[str], stored: Sequence[str]) -> None:
    hidden, invented = Counter(stored) - Counter(told), Counter(told) - Counter(stored)
    if hidden or invented:
        msg = f"Of the {kind}, {sorted(hidden)} are stored and not told, {sorted(invented)} told and not stored."
        raise DivergenceError(msg)


@case("OQ-X-0980", modes=BOTH)
def told_and_stored(trial: Trial) -> None:
    """After any program, what is stored is what the backend tells: nothing is hidden, left over or made up."""
    profile, harness = trial.profile, Observed(trial.harness)
    numbers = {"queue": profile.queue_programs, "schedules": profile.role_programs}
    if trial.mode is Mode.SEPARATE:
        numbers |= {"results": profile.role_programs, "events": profile.role_programs}
    for family, number in numbers.items():
        for program in pool(family, trial.mode, number, trial.seed)[::_SHARE]:
            execute(program, harness)
    trial.evidence.update(harness.compared)
    if missing := [kind for kind in _KINDS if not harness.compared[kind] and (kind, trial.mode) not in _EMPTY]:
        msg = f"No program left any {', '.join(missing)} to compare."
        raise VacuousError(msg)


_EMPTY = {("outbox", Mode.JOINED)}
"""What is never there in a mode."""
