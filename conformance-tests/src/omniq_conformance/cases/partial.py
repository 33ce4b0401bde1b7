"""Family 01: a queue that has joined one of the roles beside it, and what goes where then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import CapabilityError
from omniq.models.config import Role
from omniq.models.event import EventType
from omniq.models.record import Completion
from omniq.models.status import TaskStatus
from omniq.storage.schedules import Advance
from omniq_conformance.cases.limits import refused
from omniq_conformance.cases.pairs import programs_of, run
from omniq_conformance.cases.specimens import T0, claim, outcome, spec, start
from omniq_conformance.mixed import completed
from omniq_conformance.outcomes import UnsupportedError
from omniq_conformance.programs.pools import pool
from omniq_conformance.programs.queue_events_machine import QUEUE_EVENTS_SOMETIMES
from omniq_conformance.programs.queue_results_machine import QUEUE_RESULTS_SOMETIMES
from omniq_conformance.programs.relaying_machine import RELAYING_SOMETIMES
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode, Space

if TYPE_CHECKING:
    from omniq_conformance.space import Stores

__all__: list[str] = []

_RESULTS, _EVENTS = (Mode.RESULTS_JOINED,), (Mode.EVENTS_JOINED,)


@case("OQ-X-0160", modes=_RESULTS)
def queue_programs_with_results(trial: Trial) -> None:
    """A queue that has joined the results only writes them in its own step, and every event into the outbox."""
    run(trial, pool("queue", trial.mode, trial.profile.role_programs // 4, trial.seed))


@case("OQ-X-0161", modes=_EVENTS)
def queue_programs_with_events(trial: Trial) -> None:
    """A queue that has joined the events only writes them in its own step, and every end into the outbox."""
    run(trial, pool("queue", trial.mode, trial.profile.role_programs // 4, trial.seed))


@case("OQ-X-0162", modes=_RESULTS)
def queue_and_joined_results(trial: Trial) -> None:
    """Joined results stay those of the latest run while relays carry the events, die and overlap."""
    programs_of(trial, "queue-results", QUEUE_RESULTS_SOMETIMES | RELAYING_SOMETIMES)


@case("OQ-X-0163", modes=_EVENTS)
def queue_and_joined_events(trial: Trial) -> None:
    """Joined events stay the life of every task while relays carry the results, die and overlap."""
    programs_of(trial, "queue-events", QUEUE_EVENTS_SOMETIMES | RELAYING_SOMETIMES)


async def _lives(stores: Stores) -> None:
    """Let a task complete, one fail without its worker, and one wait."""
    queue = stores.task_queue
    grant = await start(queue, "done", now=T0)
    with_outcome = outcome("done", seq=grant.token.seq, epoch=grant.token.epoch)
    joined = Role.RESULT_STORAGE in stores.joined
    assert await queue.complete([Completion("done", grant.token, with_outcome if joined else None)], now=T0) == ["ok"]
    await queue.enqueue([spec("cancelled"), spec("waiting")], now=T0)
    assert await queue.cancel(["cancelled"], now=T0) == ["cancelled"]


_DONE = [EventType.ENQUEUED, EventType.STARTED, EventType.COMPLETED]


@case("OQ-X-0164", modes=_RESULTS)
async def joined_results_land(trial: Trial) -> None:
    """With joined results the results are stored at once, the events wait in the outbox, and none is in the log."""
    async with trial.space() as space:
        stores = await space.open()
        await _lives(stores)
        found = await stores.results.get(["done", "cancelled", "waiting"], now=T0)
        assert [each and each.status for each in found] == [TaskStatus.COMPLETED, TaskStatus.CANCELLED, None]
        entries = await stores.task_queue.outbox(now=T0)
        assert [entry.type for entry in entries if entry.task_id == "done"] == _DONE
        assert [entry.type for entry in entries if entry.task_id == "waiting"] == [EventType.ENQUEUED]
        if stores.opened.events is not None:
            assert await stores.events.read() == []


@case("OQ-X-0165", modes=_EVENTS)
async def joined_events_land(trial: Trial) -> None:
    """With joined events the log has them at once, the outbox has the ends, and no result was stored."""
    async with trial.space() as space:
        stores = await space.open()
        await _lives(stores)
        log = await stores.events.read()
        assert [event.type for event in log if event.task_id == "done"] == _DONE
        assert [event.type for event in log if event.task_id == "waiting"] == [EventType.ENQUEUED]
        entries = await stores.task_queue.outbox(now=T0)
        ends = {(entry.task_id, entry.state) for entry in entries}
        assert ends == {("done", TaskStatus.COMPLETED), ("cancelled", TaskStatus.CANCELLED)}
        if stores.opened.results is not None:
            assert await stores.results.get(["done", "cancelled"], now=T0) == [None, None]


@case("OQ-X-0166", modes=(*_RESULTS, *_EVENTS))
async def purged_when_relayed(trial: Trial) -> None:
    """With one role joined, a task is purged only once the outbox has nothing of it for the other role."""
    ended = frozenset({TaskStatus.COMPLETED, TaskStatus.CANCELLED})
    async with trial.space() as space:
        stores = await space.open()
        await _lives(stores)
        assert await stores.task_queue.purge(ended, T0 + 1) == []
        await stores.task_queue.outbox_ack(await stores.task_queue.outbox(now=T0))
        assert sorted(await stores.task_queue.purge(ended, T0 + 1)) == ["cancelled", "done"]


@case("OQ-X-0167", modes=(*_RESULTS, *_EVENTS))
async def siblings_and_handles(trial: Trial) -> None:
    """A sibling serves what its handle has joined; of handles that joined differently each writes its own way."""
    async with trial.space() as space:
        stores = await space.open()
        apart = await Space(trial.harness, Mode.SEPARATE, space.name).open()
        async with stores.task_queue.sibling() as sibling:
            await sibling.enqueue([spec("joined")], now=T0)
            await sibling.cancel(["joined"], now=T0)
        try:
            await apart.task_queue.enqueue([spec("apart")], now=T0)
            entries = await stores.task_queue.outbox(now=T0)
        finally:
            await apart.close()
        assert [entry.type for entry in entries if entry.task_id == "apart"] == [EventType.ENQUEUED]
        told = [entry.type for entry in entries if entry.task_id == "joined"]
        if trial.mode is Mode.RESULTS_JOINED:
            assert told == [EventType.ENQUEUED, EventType.CANCELLED]
            assert [each and each.status for each in await stores.results.get(["joined"], now=T0)] == [
                TaskStatus.CANCELLED
            ]
        else:
            assert told == [EventType.CANCELLED]
            assert [event.type for event in await stores.events.read()] == [EventType.ENQUEUED, EventType.CANCELLED]


@case("OQ-X-0168", modes=(*_RESULTS, *_EVENTS))
async def fire_needs_schedules(trial: Trial) -> None:
    """A queue that has not joined the schedules refuses to fire, and enqueues nothing."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        with refused(CapabilityError, "fire of a queue that has not joined the schedules"):
            await queue.fire([spec("t")], Advance(id="s", expected_version=0, next_run=None), now=T0)
        assert await claim(queue, now=T0) == []


@case("OQ-X-0169")
async def other_domains(trial: Trial) -> None:
    """Storages that are in another store than the queue report another transaction domain, and are not joined."""
    harness = completed(trial.harness, list(Role))
    async with Space(harness) as one, Space(harness) as other:
        first, second = await one.open(), await other.open()
        domain = first.task_queue.capabilities.transaction_domain
        foreign = [second.role(role).capabilities.transaction_domain for role in Role]
        trial.evidence.update(domain=domain, foreign=foreign)
        if domain is None:
            msg = "The queue reports no transaction domain, so it never joins anything."
            raise UnsupportedError(msg)
        assert domain not in foreign
        assert await _is_seen_in(second, first) == []


async def _is_seen_in(second: Stores, first: Stores) -> list[str]:
    await first.task_queue.enqueue([spec("t")], now=T0)
    return [record.id for record in await second.task_queue.list(now=T0)]
