"""Family 09: what is still there after everything has ended, was removed or was dropped."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

from omniq.errors import OutcomeUnknownError, StoreClosedError
from omniq.models.record import Completion
from omniq.models.status import TERMINAL
from omniq.storage.capabilities import Scope
from omniq_conformance.cases.remains import remains
from omniq_conformance.cases.specimens import T0, claim, spec, start
from omniq_conformance.dropping import DROPPED, ROUNDS
from omniq_conformance.golden_program import NOW, write_everything
from omniq_conformance.interpreters import run_module
from omniq_conformance.outcomes import DivergenceError, UnverifiedError, VacuousError
from omniq_conformance.references import reference_to
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode, Stores

if TYPE_CHECKING:
    from omniq_conformance.space import Space

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_LATER = NOW + 10 * 365 * 86_400_000
_ALL = 10**6


@case("OQ-X-0950", modes=BOTH)
async def nothing_is_left(trial: Trial) -> None:
    """Once everything has ended and was acknowledged, purged, trimmed and deleted, nothing is stored any more."""
    async with trial.space() as space:
        stores = await space.open()
        await write_everything(stores)
        before = await _snapshot(trial, space)
        await _end_everything(stores)
        await _remove_everything(stores)
        left = {kind: ids for kind, ids in (await _snapshot(trial, space)).items() if ids}
        trial.evidence["removed"] = sum(map(len, before.values()))
    if left:
        msg = f"Still stored are {left}."
        raise DivergenceError(msg)


async def _snapshot(trial: Trial, space: Space) -> dict[str, list[str]]:
    snapshot = await trial.harness.snapshot(space.name)
    if snapshot is None:
        msg = "What is stored can only be told by the backend itself. Write Harness.snapshot(), a view past it."
        raise UnverifiedError(msg)
    return {kind: list(ids) for kind, ids in snapshot.items()}


async def _end_everything(stores: Stores) -> None:
    queue = stores.task_queue
    names = [stats.name for stats in await queue.queues(now=_LATER)]
    await queue.resume(names)
    await queue.cancel([record.id for record in await queue.list(limit=_ALL, now=NOW)], now=_LATER)
    while await queue.recover(names, now=_LATER):
        pass
    for record in await queue.list(limit=_ALL, now=_LATER):
        assert record.state in TERMINAL, record


async def _remove_everything(stores: Stores) -> None:
    queue = stores.task_queue
    entries = await queue.outbox(_ALL, now=_LATER)
    if stores.opened.events is not None:
        await stores.events.append(entries)
    await queue.outbox_ack(entries)
    await queue.purge(TERMINAL, _LATER + 1, _ALL)
    if stores.opened.results is not None:
        await stores.results.purge_expired(_ALL, now=_LATER)
        await stores.results.delete([record.id for record in await stores.results.list(limit=_ALL, now=_LATER)])
    if stores.opened.events is not None:
        await stores.events.trim(_LATER + 1, _ALL)
    if stores.opened.schedules is not None:
        await stores.schedules.delete([schedule.id for schedule in await stores.schedules.list(limit=_ALL)])


@case("OQ-X-0951")
async def dropped_handles(trial: Trial) -> None:
    """Handles that are dropped without being closed do not keep their process from ending, and lose nothing."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        order = {"harness": reference_to(trial.harness), "namespace": space.name}
        done = await asyncio.to_thread(run_module, "dropping", order)
        trial.evidence["warnings"] = done.stderr.count("ResourceWarning")
        if (done.returncode, done.stdout) != (0, DROPPED) or "Traceback" in done.stderr:
            msg = f"The process ended with {done.returncode} after {done.stdout!r}:\n{done.stderr}"
            raise DivergenceError(msg)
        if queue.capabilities.scope is not Scope.PROCESS:
            granted = [grant.id for grant in await claim(queue, limit=ROUNDS + 1)]
            assert granted == [f"t{number}" for number in range(ROUNDS)]


_SETTLED, _OPENINGS = 8, {"smoke": 14}
_CALLS = 7


@case("OQ-X-0952")
async def many_openings(trial: Trial) -> None:
    """Handles that waited, followed and had siblings leave nothing behind, however often they are opened and closed."""
    async with trial.space() as space:
        await space.open()
        openings = _OPENINGS.get(trial.profile.name, 50)
        for number in range(openings):
            stores = Stores(await trial.harness.open(space.name), trial.harness)
            await _use(stores, f"t{number}")
            await stores.close()
            if number == _SETTLED:
                before = _collected()
        left = _collected()
    # Thread pools and caches may still grow in the first rounds.
    if left != before:
        msg = f"After {_SETTLED + 1} openings there were {before}, after {openings} there are {left}."
        raise DivergenceError(msg)


def _collected() -> dict[str, int]:
    gc.collect()
    return remains()


async def _use(stores: Stores, id: str) -> None:
    queue = stores.task_queue
    follower = asyncio.ensure_future(anext(stores.events.tail()))
    waits = [queue.wait(["other"], 0.001), queue.wait_done(["unknown"], 0.001), stores.schedules.next_due()]
    async with queue.sibling() as sibling:
        grant = await start(sibling, id, now=T0)
        await asyncio.gather(*waits, sibling.wait(["other"], 0.001))
        await queue.complete([Completion(id, grant.token)], now=T0)
    follower.cancel()
    await asyncio.wait((follower,))


@case("OQ-X-0953")
async def closed_in_flight(trial: Trial) -> None:
    """Calls that are under way when their handle is closed were either applied and answered, or refused and not."""
    applied = refused = 0
    async with trial.space() as space:
        keeper = (await space.open()).task_queue
        for turns in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
            answers = await _close_in_flight(trial, space, turns)
            for (id, answer), record in zip(answers.items(), await keeper.get(list(answers)), strict=True):
                if isinstance(answer, OutcomeUnknownError):
                    continue
                if isinstance(answer, BaseException) and not isinstance(answer, StoreClosedError):
                    raise answer
                if (record is not None) != isinstance(answer, list):
                    msg = f"{id} was answered by {answer!r}, and what is stored is {record}."
                    raise DivergenceError(msg)
                applied += record is not None
                refused += record is None
    trial.evidence.update(applied=applied, refused=refused)
    if not applied or not refused:
        msg = f"{applied} calls were applied and {refused} refused; there should be some of each."
        raise VacuousError(msg)


async def _close_in_flight(trial: Trial, space: Space, turns: int) -> dict[str, object]:
    """Close a handle that has been busy for so many turns; return the answers to all calls, early and late ones."""
    opened = Stores(await trial.harness.open(space.name), trial.harness)
    calls: dict[str, asyncio.Future[Any]] = {}

    def enqueue() -> None:
        id = f"{turns}.{len(calls)}"
        calls[id] = asyncio.ensure_future(opened.task_queue.enqueue([spec(id)], now=T0))

    for _ in range(_CALLS):
        enqueue()
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        closing = asyncio.ensure_future(opened.close())
        for _ in range(_CALLS):
            enqueue()
            await asyncio.sleep(0)
        await closing
        enqueue()
        return dict(zip(calls, await asyncio.gather(*calls.values(), return_exceptions=True), strict=True))
