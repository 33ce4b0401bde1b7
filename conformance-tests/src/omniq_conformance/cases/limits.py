"""Family 05: what is refused, is refused before anything is stored."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import attrs

from omniq.errors import ConfigError, LimitExceededError
from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TaskStatus
from omniq_conformance.cases.specimens import T0, claim, outcome, spec, start
from omniq_conformance.outcomes import DivergenceError, UnverifiedError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from omniq.storage.task_queue import TaskQueue

__all__: list[str] = []

TOO_LARGE = 128 * 1024 * 1024
"""Larger payloads are not made just to be refused."""


@contextmanager
def refused(error: type[Exception], what: object) -> Iterator[None]:
    """Expect the block to raise this error, with a message."""
    try:
        yield
    except error as refusal:
        if not str(refusal):
            msg = f"The refusal of {what} has no message."
            raise DivergenceError(msg) from refusal
    else:
        msg = f"Accepted {what}; expected {error.__name__}."
        raise DivergenceError(msg)


def _check_can_exceed(limit: int) -> None:
    if limit >= TOO_LARGE:
        msg = f"max_payload_bytes is {limit}: a larger payload is not made just to be refused."
        raise UnverifiedError(msg)


async def _refuses(queue: TaskQueue, bad: TaskSpec, error: type[Exception], what: object) -> None:
    """A batch with one bad item between good ones stores nothing."""
    with refused(error, what):
        await queue.enqueue([spec("good"), bad, spec("fine")], now=T0)
    assert await queue.list(now=T0) == []


@case("OQ-Q-0511")
async def long_names(trial: Trial) -> None:
    """Ids, queues and unique keys of exactly `max_id_bytes` of UTF-8 are kept; one byte more is refused."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        limit = queue.capabilities.max_id_bytes
        for letter in ("x", "\u20ac"):
            width = len(letter.encode())
            longest, too_long = letter * (limit // width), letter * (limit // width + 1)
            await _refuses(queue, spec(too_long), LimitExceededError, f"an id of {len(too_long.encode())} bytes")
            await _refuses(queue, spec("t", too_long), LimitExceededError, "a queue's name of the same length")
            await _refuses(queue, spec("t", unique_key=too_long), LimitExceededError, "a unique key of the same length")
            made = spec(longest, longest, unique_key=longest)
            assert [answer.created for answer in await queue.enqueue([made], now=T0)] == [True]
            (grant,) = await claim(queue, longest, now=T0)
            assert await queue.complete([Completion(longest, grant.token)], now=T0) == ["ok"]
            entries = await queue.outbox(now=T0)
            await queue.outbox_ack(entries)
            assert await queue.purge(frozenset({TaskStatus.COMPLETED}), T0 + 1) == [longest]


@case("OQ-Q-0512")
async def long_payloads(trial: Trial) -> None:
    """A body over `max_payload_bytes` is refused, wherever the bytes are."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        limit = queue.capabilities.max_payload_bytes
        _check_can_exceed(limit)
        half = b"x" * (limit // 2 + 1)
        too_long = [
            TaskBody(func="f", args=half, kwargs=half),
            TaskBody(func="f", args=half + half),
            TaskBody(func="f", args=half, headers={"h": half.decode()}),
        ]
        for body in too_long:
            bad = TaskSpec(id="t", body=body, queue="a")
            await _refuses(queue, bad, LimitExceededError, f"a body over {limit} bytes")


_IMPOSSIBLE: Sequence[dict[str, Any]] = (
    {"priority": 10},
    {"priority": -1},
    {"priority": 1.5},
    {"priority": "5"},
    {"max_attempts": 0},
    {"max_attempts": -1},
    {"interval_ms": 0},
    {"interval_ms": -5},
    {"eta": T0 + 5, "expires_at": T0 + 5},
    {"eta": T0 + 5, "expires_at": T0 + 4},
)


@case("OQ-Q-0513")
async def impossible_tasks(trial: Trial) -> None:
    """Priorities out of range, no attempts, and expiry before the eta are refused."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        for fields in _IMPOSSIBLE:
            await _refuses(queue, spec("t", **fields), ConfigError, fields)


@case("OQ-Q-0514")
async def unusable_names(trial: Trial) -> None:
    """Empty names, and such that not every engine can keep (NUL, lone surrogates), are refused."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        for name in ("", "\0", "a\0b", "\ud800", "a\udfff"):
            for bad in (spec("t", name), spec("t", unique_key=name), attrs.evolve(spec("t"), id=name)):
                await _refuses(queue, bad, ConfigError, f"the name {name!r}")


@case("OQ-Q-0515")
async def wrong_types(trial: Trial) -> None:
    """Arguments of a wrong type raise something, store nothing, and spoil neither the store nor calls beside them."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        grant = await start(queue, "t", now=T0)
        before = await queue.list(now=T0)
        wrong: list[Callable[[], Any]] = [
            lambda: queue.enqueue(cast("Any", [spec("u"), "no spec"]), now=T0),
            lambda: queue.enqueue(cast("Any", [spec("u"), None]), now=T0),
            lambda: queue.complete(cast("Any", [None]), now=T0),
            lambda: queue.fail(cast("Any", ["t"]), now=T0),
            lambda: queue.release(cast("Any", [grant.token]), now=T0),
            lambda: queue.heartbeat(cast("Any", [None]), 10, now=T0),
        ]
        for number, call in enumerate(wrong):
            with refused(Exception, f"wrong argument {number}"):
                await call()
            assert await queue.list(now=T0) == before
        assert await queue.complete([Completion("t", grant.token)], now=T0) == ["ok"]
        for number, call in enumerate(wrong):
            await _beside(queue, number, call)


async def _beside(queue: TaskQueue, number: int, wrong: Callable[[], Any]) -> None:
    """Make a wrong call together with right ones, which may share a transaction with it."""
    await queue.enqueue([spec(f"x{number}")], now=T0)
    enqueued = asyncio.ensure_future(queue.enqueue([spec(f"y{number}", eta=T0 + 1)], now=T0))
    refusal = asyncio.ensure_future(wrong())
    claimed = asyncio.ensure_future(claim(queue, nonce=100 + number, now=T0))
    await asyncio.wait([enqueued, refusal, claimed])
    assert isinstance(refusal.exception(), Exception), f"wrong argument {number} was accepted"
    errors = enqueued.exception(), claimed.exception()
    assert errors == (None, None), f"wrong argument {number} let the calls beside it fail: {errors!r}"
    assert [answer.created for answer in enqueued.result()] == [True]
    assert [(grant.id, grant.attempt) for grant in claimed.result()] == [(f"x{number}", 1)]


@case("OQ-Q-0516", modes=(Mode.JOINED,))
async def long_joined_results(trial: Trial) -> None:
    """A queue that stores results refuses those over the limit before it settles anything."""
    async with trial.space() as space:
        stores = await space.open()
        queue = stores.task_queue
        limit = queue.capabilities.max_payload_bytes
        _check_can_exceed(limit)
        await queue.enqueue([spec("t"), spec("u")], now=T0)
        grants = await claim(queue, now=T0)
        values = (b"1", b"x" * (limit + 1))
        items = [
            Completion(g.id, g.token, outcome(g.id, seq=g.token.seq, epoch=g.token.epoch, value=value))
            for g, value in zip(grants, values, strict=True)
        ]
        with refused(LimitExceededError, f"a result of {limit + 1} bytes"):
            await queue.complete(items, now=T0)
        records = await queue.get(["t", "u"])
        assert [record.state for record in records if record] == [TaskStatus.RUNNING] * 2
        assert await stores.results.get(["t", "u"], now=T0) == [None, None]


@case("OQ-Q-0517", modes=(Mode.SEPARATE, Mode.JOINED))
async def long_series(trial: Trial) -> None:
    """Later runs of a series whose id has `max_id_bytes` have longer ones, which are kept as any other."""
    async with trial.space() as space:
        stores = await space.open()
        queue, begin = stores.task_queue, 2**43
        series = "x" * queue.capabilities.max_id_bytes
        ids = [series, f"{series}@{begin + 10}", f"{series}@{begin + 20}"]
        await queue.enqueue([spec(series, interval_ms=10)], now=begin)
        for number, id in enumerate(ids[:2]):
            grants = await claim(queue, nonce=number + 1, now=begin + 10 * number)
            assert [grant.id for grant in grants] == [id]
            token = grants[0].token
            result = outcome(id, seq=token.seq, epoch=token.epoch)
            assert await queue.complete([Completion(id, token, result)], now=begin + 10 * number) == ["ok"]
        assert await queue.cancel(ids[2:], now=begin + 10) == ["cancelled"]
        records = await queue.get(ids)
        assert [record.id for record in records if record] == ids
        entries = await queue.outbox(now=begin + 10)
        if trial.mode is Mode.SEPARATE:
            assert await stores.events.append(entries) == len(entries)
            assert await stores.results.put([outcome(id) for id in ids], now=begin) == [True] * len(ids)
            await queue.outbox_ack(entries)
        assert {each.task_id for each in await stores.events.read()} == set(ids)
        kept = await stores.results.get(ids, now=begin + 10)
        assert [result.id for result in kept if result] == ids
        assert await queue.purge(frozenset(TaskStatus), begin + 11) == ids


@case("OQ-R-0511")
async def long_results(trial: Trial) -> None:
    """A batch with a value over the limit stores nothing."""
    async with trial.space() as space:
        results = (await space.open()).results
        limit = results.capabilities.max_payload_bytes
        _check_can_exceed(limit)
        with refused(LimitExceededError, f"a value of {limit + 1} bytes"):
            await results.put([outcome("a"), outcome("b", value=b"x" * (limit + 1)), outcome("c")], now=T0)
        assert await results.list(now=T0) == []


@case("OQ-S-0511")
async def impossible_schedules(trial: Trial) -> None:
    """A schedule whose id or queue is too long or unusable is refused."""
    async with trial.space() as space:
        schedules = (await space.open()).schedules
        limit = schedules.capabilities.max_id_bytes
        good = Schedule(id="s", kind=ScheduleKind.ONCE, body=TaskBody(func="f"), next_run=T0)
        bad = [attrs.evolve(good, id="x" * (limit + 1)), attrs.evolve(good, queue="x" * (limit + 1))]
        for schedule in bad:
            with refused(LimitExceededError, f"a name of {limit + 1} bytes"):
                await schedules.put(schedule, now=T0)
        for schedule in (attrs.evolve(good, id=""), attrs.evolve(good, id="a\0"), attrs.evolve(good, priority=10)):
            with refused(ConfigError, schedule):
                await schedules.put(schedule, now=T0)
        assert await schedules.list() == []
