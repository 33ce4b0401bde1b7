"""Family 15: tasks that are enqueued in a transaction of the caller's own. These cases run on the store's own clock."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from omniq.errors import CapabilityError, ConfigError, StorageError
from omniq.models.config import Role
from omniq.models.record import Enqueued
from omniq_conformance.cases.specimens import claim, spec
from omniq_conformance.cases.timing import allowed, in_time, measured
from omniq_conformance.outcomes import DivergenceError, UnsupportedError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import TypeAlias

    from omniq.storage.task_queue import TaskQueue
    from omniq_conformance.space import Stores

    Begin: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_PATIENCE = 10.0


@asynccontextmanager
async def _opened(trial: Trial) -> AsyncIterator[tuple[Stores, Begin]]:
    """Yield the stores, and what begins a transaction of somebody else.

    Raises:
        UnsupportedError: The queue refuses all of this as documented, and stores nothing.
        UnverifiedError: The harness has no transactions.
    """
    async with trial.space() as space:
        stores = await space.open()
        await _check_support(stores.task_queue)
        yield stores, lambda: trial.harness.keeper(Role.TASK_QUEUE).transaction(space.name)


async def _check_support(queue: TaskQueue) -> None:
    """Offer the queue something that is no connection: it is refused, and by its error the queue tells what it can."""
    try:
        await queue.enqueue_within("no connection", [spec("t")])
    except CapabilityError as refusal:
        if await queue.get(["t"]) != [None]:
            msg = "The refused task is there."
            raise DivergenceError(msg) from refusal
        raise UnsupportedError(str(refusal)) from refusal
    except (ConfigError, StorageError):
        return
    msg = "Something that is no connection was accepted."
    raise DivergenceError(msg)


@case("OQ-Q-1501", modes=BOTH)
async def all_or_nothing(trial: Trial) -> None:
    """What a caller's transaction enqueues is there after the commit as if it had just been enqueued, else never."""
    async with _opened(trial) as (stores, begin):
        queue = stores.task_queue
        rolled_back = AsyncExitStack()
        connection = await rolled_back.enter_async_context(begin())
        assert await queue.enqueue_within(connection, [spec("never")]) == [Enqueued("never", created=True)]
        undo = RuntimeError("undo")
        with suppress(RuntimeError):
            await rolled_back.__aexit__(RuntimeError, undo, None)
        made = [spec("low"), spec("high", priority=9, unique_key="k"), spec("b", "b"), spec("low")]
        async with begin() as connection:
            answers = await queue.enqueue_within(connection, made)
            assert [answer.created for answer in answers] == [True, True, True, False], answers
            assert await queue.get(["low", "high"]) == [None, None], "seen before the commit"
            assert (await queue.count(), await claim(queue)) == (0, []), "counted or claimed before the commit"
        assert [record.id for record in await queue.list()] == ["low", "high", "b"]
        assert await queue.get(["never"]) == [None], "what was rolled back is there"
        for record, wanted in zip(await queue.get(["low", "high", "b"]), made, strict=False):
            assert record is not None
            assert (record.version, record.state, record.attempts) == (1, "PENDING", 0), record
            assert (record.body, record.queue, record.priority) == (wanted.body, wanted.queue, wanted.priority), record
        assert await queue.enqueue([spec("other", unique_key="k")]) == [Enqueued("high", created=False)]
        assert [grant.id for grant in await claim(queue)] == ["high", "low"]
        assert await queue.get(["never"]) == [None], "what was rolled back is there"
        log = await (stores.events.read() if trial.mode is Mode.JOINED else queue.outbox())
        assert [event.task_id for event in log if event.type == "ENQUEUED"] == ["low", "high", "b"], log


@case("OQ-Q-1502", modes=BOTH)
async def held_open(trial: Trial) -> None:
    """An open transaction holds up nobody else, and what others took before its commit is theirs."""
    async with _opened(trial) as (stores, begin):
        queue = stores.task_queue
        async with begin() as connection:
            first = [spec("t"), spec("mine", unique_key="k"), spec("more")]
            assert all(answer.created for answer in await queue.enqueue_within(connection, first))
            async with asyncio.timeout(_PATIENCE):
                answers = await queue.enqueue([spec("t", "b"), spec("theirs", unique_key="k"), spec("other")])
                assert all(answer.created for answer in answers), answers
                assert [grant.id for grant in await claim(queue)] == ["theirs", "other"]
        assert [(record.id, record.queue) for record in await queue.list()] == [
            *(("t", "b"), ("theirs", "a"), ("other", "a"), ("more", "a"))
        ]
        async with begin() as connection:
            late = [spec("t"), spec("late", unique_key="k"), spec("last")]
            answers = await queue.enqueue_within(connection, late)
        known = [Enqueued("t", created=False), Enqueued("theirs", created=False), Enqueued("last", created=True)]
        assert answers == known, answers
        assert [grant.id for grant in await claim(queue, nonce=2)] == ["more", "last"]


@case("OQ-Q-1503")
@measured
async def woken_by_a_commit(trial: Trial) -> None:
    """The commit wakes idle workers, as an enqueue does."""
    async with _opened(trial) as (stores, begin):
        queue = stores.task_queue
        waiting = asyncio.ensure_future(queue.wait(["a"], 60))
        async with begin() as connection:
            await queue.enqueue_within(connection, [spec("t")])
            await asyncio.sleep(0.1)
        committed = time.perf_counter()
        async with asyncio.timeout(_PATIENCE):
            await waiting
        in_time(committed, allowed(queue), "an idle worker was woken by a commit")
        assert [grant.id for grant in await claim(queue)] == ["t"]
