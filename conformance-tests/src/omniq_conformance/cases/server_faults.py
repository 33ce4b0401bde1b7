"""Family 03, numbers 370 to 379: servers that are killed, restarted and paused."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.record import Completion
from omniq.models.status import TaskStatus
from omniq.storage.capabilities import Durability
from omniq_conformance.cases.specimens import claim, event, outcome, spec
from omniq_conformance.faults.disturbed import LOST, bounded, persist
from omniq_conformance.faults.reaching import server_of
from omniq_conformance.faults.waiting import all_return, follow, until_it_returns
from omniq_conformance.outcomes import DivergenceError, VacuousError
from omniq_conformance.registry import Trial, case

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from omniq.models.record import Grant
    from omniq_conformance.servers import Server
    from omniq_conformance.space import Stores

__all__: list[str] = []

_LEASE = 600_000
_CALM = 0.2
"""Seconds for which the load goes on before, between and after the deaths of the server."""


@attrs.define
class _Load:
    """Producers and workers, and what was acknowledged to them.

    Attributes:
        enqueued: Tasks.
        completed: Tasks.
        stored: Tasks with a result.
        told: Tasks with an event.
        repeated: How many calls had an unknown outcome and were made again.
    """

    enqueued: set[str] = attrs.field(factory=set)
    completed: set[str] = attrs.field(factory=set)
    stored: set[str] = attrs.field(factory=set)
    told: set[str] = attrs.field(factory=set)
    repeated: int = 0
    _is_over: bool = False
    _nonces: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))

    async def produce(self, stores: Stores, name: str) -> None:
        """Enqueue tasks, one after the other."""
        for number in itertools.count():
            if self._is_over:
                return
            made = spec(f"{name}-{number}")
            (answer,) = await self._persist(partial(stores.task_queue.enqueue, [made]), "enqueue")
            assert answer.id == made.id
            self.enqueued.add(made.id)

    async def work(self, stores: Stores) -> None:
        """Claim tasks, store their results, complete them and tell of it."""
        while not self._is_over:
            for grant in await self._claim(stores):
                result = outcome(grant.id, seq=grant.token.seq, epoch=grant.token.epoch)
                await self._persist(partial(stores.results.put, [result]), "put")
                self.stored.add(grant.id)
                item = Completion(grant.id, grant.token)
                await self._persist(partial(stores.task_queue.complete, [item]), "complete")
                self.completed.add(grant.id)
                told = event(grant.id, 1)
                await self._persist(partial(stores.events.append, [told]), "append")
                self.told.add(grant.id)

    async def _claim(self, stores: Stores) -> list[Grant]:
        nonce = f"{next(self._nonces):016x}"

        async def try_it() -> list[Grant]:
            held = await stores.task_queue.held("worker", nonce)
            return held or await stores.task_queue.claim(("a",), 3, "worker", _LEASE, nonce)

        grants: list[Grant] = await self._persist(try_it, "claim")
        return grants

    async def _persist(self, call: Any, what: str) -> Any:
        answer, is_repeated = await persist(call, what)
        self.repeated += is_repeated
        return answer

    @contextlib.asynccontextmanager
    async def running(self, handles: list[Stores]) -> AsyncIterator[None]:
        """Let each handle produce or work; wait until the last calls are answered."""
        try:
            async with asyncio.TaskGroup() as group:
                for number, stores in enumerate(handles):
                    group.create_task(self.work(stores) if number % 2 else self.produce(stores, f"p{number}"))
                yield
                self._is_over = True
        except ExceptionGroup as several:
            raise several.exceptions[0] from several

    async def check(self, stores: Stores) -> None:
        """Look whether everything is there.

        Raises:
            DivergenceError: Something that was acknowledged is not.
        """
        ids = sorted(self.enqueued)
        records = await stores.task_queue.get(ids)
        results = await stores.results.get(sorted(self.stored))
        known = {each.task_id for each in await stores.events.read(limit=1_000_000)}
        missing = {
            "tasks": [id for id, record in zip(ids, records, strict=True) if record is None],
            "completions": sorted(
                self.completed & {each.id for each in records if each and each.state is not TaskStatus.COMPLETED}
            ),
            "results": [id for id, result in zip(sorted(self.stored), results, strict=True) if result is None],
            "events": sorted(self.told - known),
        }
        lost = {what: f"{len(ids)}, such as {ids[0]}" for what, ids in missing.items() if ids}
        if lost:
            msg = f"Acknowledged, and gone after the server was killed: {lost}."
            raise DivergenceError(msg)


@case("OQ-X-0370")
async def killed_servers(trial: Trial) -> None:
    """A server that is killed under load keeps all that it acknowledged, and every handle goes on by itself."""
    server = await server_of(trial)
    load = _Load()
    async with trial.space() as space:
        handles = [await space.open() for _ in range(4)]
        before = 0
        with _alive_again(server):
            async with load.running(handles):
                for _ in range(trial.profile.server_kills):
                    await asyncio.sleep(_CALM)
                    before = before or len(load.enqueued)
                    await asyncio.to_thread(_kill_and_restart, server)
                await asyncio.sleep(_CALM)
        durability = handles[0].task_queue.capabilities.durability
        trial.evidence.update(
            kills=trial.profile.server_kills,
            enqueued=len(load.enqueued),
            completed=len(load.completed),
            repeated=load.repeated,
            durability=durability,
        )
        if durability is not Durability.NONE:
            await load.check(await space.open())
        if not before or len(load.enqueued) == before or not load.completed:
            msg = f"Nothing was acknowledged before or after the first kill: {trial.evidence}."
            raise VacuousError(msg)


def _kill_and_restart(server: Server) -> None:
    server.kill()
    server.restart()


@contextlib.contextmanager
def _alive_again(server: Server) -> Iterator[None]:
    """Leave the server running for the cases that follow, whatever happens."""
    try:
        yield
    except BaseException:
        server.restart()
        raise


@case("OQ-X-0371")
async def waiters_of_killed_servers(trial: Trial) -> None:
    """Who waits when the server is killed is woken by what happens after it is back, or told to wait again."""
    server = await server_of(trial)
    async with trial.space() as space:
        stores, other = await space.open(), await space.open()
        await stores.task_queue.enqueue([spec("t", "b")])
        await stores.events.append([event("v", 1)])
        after = (await stores.events.read())[-1].position
        waits = {
            "wait": asyncio.ensure_future(until_it_returns(lambda: stores.task_queue.wait(["a"], 60))),
            "wait_done": asyncio.ensure_future(until_it_returns(lambda: stores.task_queue.wait_done(["t"], 60))),
            "tail": asyncio.ensure_future(follow(stores, after, 1)),
        }
        await asyncio.sleep(_CALM)
        with _alive_again(server):
            await asyncio.to_thread(_kill_and_restart, server)
        await persist(lambda: other.task_queue.enqueue([spec("w")]), "enqueue")
        if await persist(lambda: other.task_queue.cancel(["t"]), "cancel") == (["missing"], False):
            await other.task_queue.enqueue([spec("t", "b")])  # it had not to be kept
            await other.task_queue.cancel(["t"])
        await persist(lambda: other.events.append([event("v", 2)]), "append")
        await all_return(waits)


@case("OQ-X-0372")
async def paused_servers(trial: Trial) -> None:
    """A server that stood still for longer than a lease lets others have the task, and the late worker is refused."""
    server = await server_of(trial)
    async with trial.space() as space:
        late, other = await space.open(), await space.open()
        await late.task_queue.enqueue([spec("t")])
        (grant,) = await claim(late.task_queue, lease_ms=500)
        server.pause()
        try:
            call = asyncio.ensure_future(bounded(other.task_queue.enqueue([spec("u", "b")]), "enqueue"))
            await asyncio.sleep(0.7)
        finally:
            server.resume()
        try:
            await call
            trial.evidence["a call meanwhile"] = "answered"
        except LOST as error:
            trial.evidence["a call meanwhile"] = type(error).__name__
        (again,), _ = await persist(lambda: _claimed(other), "claim")
        assert again.token.epoch > grant.token.epoch
        item = Completion("t", grant.token)
        assert await persist(lambda: late.task_queue.complete([item]), "complete") == (["lost"], False)
        assert await other.task_queue.complete([Completion("t", again.token)]) == ["ok"]


async def _claimed(stores: Stores) -> list[Grant]:
    nonce = f"{2:016x}"
    return await stores.task_queue.held("worker", nonce) or await claim(stores.task_queue, nonce=2)


@case("OQ-X-0373")
async def servers_that_are_away(trial: Trial) -> None:
    """Operations end with a typed error in bounded time while the server is away, and work when it is back."""
    server = await server_of(trial)
    async with trial.space() as space:
        stores = await space.open()
        await stores.task_queue.enqueue([spec("first")])
        ends = []
        try:
            server.kill()
            for number in range(3):
                with contextlib.suppress(*LOST):
                    await bounded(stores.task_queue.enqueue([spec(f"t{number}")]), "enqueue")
                    ends.append(number)
        finally:
            server.restart()
        if ends:
            msg = "enqueue answered, though there was no server."
            raise DivergenceError(msg)
        await persist(lambda: stores.task_queue.enqueue([spec("last")]), "enqueue")
        assert await stores.task_queue.get(["last"]) != [None]
