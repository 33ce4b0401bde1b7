"""Family 05: names and payloads that were drawn, each name among others that an engine could take for the same."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import attrs

from omniq.errors import ConfigError, LimitExceededError, OmniQError
from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.schedule import Schedule, ScheduleKind
from omniq_conformance.cases.drawn_values import at_most, drawn_names, drawn_payloads, long_twins
from omniq_conformance.cases.limits import TOO_LARGE, refused
from omniq_conformance.cases.name_checks import check_results, check_schedules, check_tasks
from omniq_conformance.cases.specimens import T0, claim, outcome, spec
from omniq_conformance.outcomes import DivergenceError, UnsupportedError, UnverifiedError
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode, Stores

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_SETS = {"smoke": 2, "pr": 12}
_MANY_SETS = 500

Check = Callable[[Stores, Sequence[str]], Awaitable[None]]


def _sets(trial: Trial) -> Sequence[Sequence[str]]:
    return drawn_names(_SETS.get(trial.profile.name, _MANY_SETS), trial.seed)


def _run(trial: Trial, check: Check) -> None:
    """Check every set of names, and the longest names; say which one or two names are enough for a failure."""
    sets = [*_sets(trial), ()]
    for names in sets:
        try:
            asyncio.run(_one(trial, check, names))
        except (UnsupportedError, UnverifiedError):
            raise
        except Exception as error:
            raise _explained(trial, check, names, error) from error
    trial.evidence.update(sets=len(sets), names=sum(map(len, sets)))


async def _one(trial: Trial, check: Check, names: Sequence[str]) -> None:
    async with trial.space() as space:
        stores = await space.open()
        limit = min(storage.capabilities.max_id_bytes for storage in stores.opened)
        chosen = [name for name in names if len(name.encode()) <= limit]
        await check(stores, chosen or long_twins(limit, trial.seed))


def _explained(trial: Trial, check: Check, names: Sequence[str], error: Exception) -> DivergenceError:
    for few in [*itertools.combinations(names, 1), *itertools.combinations(names, 2)]:
        try:
            asyncio.run(_one(trial, check, few))
        except Exception as found:  # noqa: BLE001 - whatever goes wrong with fewer names explains more
            return DivergenceError(f"With the names {', '.join(map(ascii, few))}: {type(found).__name__}: {found}")
    return DivergenceError(f"With the names {', '.join(map(ascii, names))}: {type(error).__name__}: {error}")


@case("OQ-Q-0550", modes=BOTH)
def drawn_tasks(trial: Trial) -> None:
    """Ids, queues, unique keys, functions and workers that look alike stay apart in every call of the task queue."""
    _run(trial, check_tasks)


@case("OQ-R-0550")
def drawn_results(trial: Trial) -> None:
    """Results whose ids look alike stay apart in every call."""
    _run(trial, check_results)


@case("OQ-S-0550")
def drawn_schedules(trial: Trial) -> None:
    """Schedules whose ids look alike stay apart in every call."""
    _run(trial, check_schedules)


@case("OQ-X-0550")
async def longest_names(trial: Trial) -> None:
    """Names of any mixture of characters may have `max_id_bytes` bytes, and not one more."""
    rng = Random(trial.seed)  # noqa: S311 - reproducible choices
    async with trial.space() as space:
        stores = await space.open()
        queue, schedules = stores.task_queue, stores.schedules
        limit = queue.capabilities.max_id_bytes
        good = Schedule(id="s", kind=ScheduleKind.ONCE, body=TaskBody(func="f"), next_run=T0)
        for number in range(4):
            fits = at_most(limit, rng)
            for over in ("x", "\u00e9", "\u20ac", "\U0001f600"):
                long = f"{fits[:-1]}{over}" if len(fits[-1].encode()) < len(over.encode()) else f"{fits}{over}"
                for bad in (spec(long), spec("t", long), spec("t", unique_key=long)):
                    with refused(LimitExceededError, f"a name of {len(long.encode())} bytes"):
                        await queue.enqueue([bad], now=T0)
                for wrong in (attrs.evolve(good, id=long), attrs.evolve(good, queue=long)):
                    with refused(LimitExceededError, f"a name of {len(long.encode())} bytes"):
                        await schedules.put(wrong, now=T0)
            await check_tasks(stores, [fits])
            assert await schedules.put(attrs.evolve(good, id=fits, queue=fits), now=T0 + number) is not None
            assert await schedules.delete([fits]) == [True]


@case("OQ-Q-0552", modes=BOTH)
async def drawn_bodies(trial: Trial) -> None:
    """Drawn bytes of any size come back as they were, or are refused before they are stored, whatever the codec."""
    seen: Counter[str] = Counter()
    payloads = drawn_payloads(_SETS.get(trial.profile.name, _MANY_SETS) * 4, trial.seed, trial.profile.large_payload)
    async with trial.space() as space:
        stores = await space.open()
        for number, (codec, data) in enumerate(payloads):
            body = TaskBody(func="f", args=data, kwargs=data[::-1], codec=codec)
            seen[await _kept(trial, stores, TaskSpec(id=f"t{number}", body=body, queue="a"))] += 1
    trial.evidence.update(seen)
    assert seen["kept"] > seen["refused"]


async def _kept(trial: Trial, stores: Stores, made: TaskSpec) -> str:
    """Take a body through its life, and return whether it was kept or refused."""
    queue, data = stores.task_queue, made.body.args
    try:
        await queue.enqueue([made], now=T0)
    except (OmniQError, UnicodeError):
        assert await queue.get([made.id]) == [None]
        return "refused"
    (record,) = await queue.get([made.id])
    assert record is not None
    (grant,) = await claim(queue, limit=2, now=T0)
    assert record.body == grant.body == made.body
    result = outcome(made.id, seq=grant.token.seq, epoch=grant.token.epoch, value=data, codec=made.body.codec)
    stored = attrs.evolve(result, stored_at=T0)
    is_kept = True
    joined = trial.mode is Mode.JOINED
    if not joined:
        try:
            assert await stores.results.put([result], now=T0) == [True]
        except (OmniQError, UnicodeError):  # results of another backend may be of fewer kinds than bodies
            is_kept = False
    settled = Completion(made.id, grant.token, result if joined else None)
    assert await queue.complete([settled], now=T0) == ["ok"]
    assert await stores.results.get([made.id], now=T0) == [stored if is_kept else None]
    return "kept" if is_kept else "refused"


@case("OQ-Q-0553")
async def too_large_in_sum(trial: Trial) -> None:
    """One byte over `max_payload_bytes` is refused, however it is split over arguments and headers."""
    rng = Random(trial.seed)  # noqa: S311 - reproducible choices
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        limit = queue.capabilities.max_payload_bytes
        if limit >= TOO_LARGE:
            msg = f"max_payload_bytes is {limit}: a larger payload is not made just to be refused."
            raise UnverifiedError(msg)
        for _ in range(3):
            made = _split(limit + 1, rng)
            with refused(LimitExceededError, f"a body of {limit + 1} bytes"):
                await queue.enqueue([made], now=T0)
        assert await queue.list(now=T0) == []


def _split(size: int, rng: Random) -> TaskSpec:
    """Return a task with so many bytes in its arguments and headers."""
    headers = {"\u00e9": "\u20ac" * rng.randint(0, 100)}
    rest = size - sum(len(text.encode()) for pair in headers.items() for text in pair)
    place = rng.randint(0, rest)
    body = TaskBody(func="f", args=bytes(place), kwargs=bytes(rest - place), codec="msgpack", headers=headers)
    return TaskSpec(id="t", body=body, queue="a")


@case("OQ-Q-0554")
async def largest_bodies(trial: Trial) -> None:
    """A body of exactly `max_payload_bytes` bytes in all its parts is kept, and so is such a result."""
    async with trial.space() as space:
        stores = await space.open()
        limit = stores.task_queue.capabilities.max_payload_bytes
        limit_of_results = stores.results.capabilities.max_payload_bytes
        largest = max(limit, limit_of_results)
        if largest > trial.profile.largest_body:
            msg = (
                f"max_payload_bytes is {largest}, and the profile {trial.profile.name} stores at most "
                f"{trial.profile.largest_body} bytes. Run the next larger profile."
            )
            raise UnverifiedError(msg)
        made = _split(limit, Random(trial.seed))  # noqa: S311 - reproducible choices
        await stores.task_queue.enqueue([made], now=T0)
        (grant,) = await claim(stores.task_queue, limit=1, now=T0)
        assert grant.body == made.body
        value = bytes(limit_of_results)
        assert await stores.results.put([outcome("t", value=value, codec="msgpack")], now=T0) == [True]
        (result,) = await stores.results.get(["t"], now=T0)
        assert result is not None
        assert result.value == value


@case("OQ-X-0551")
async def unusable_drawn_names(trial: Trial) -> None:
    """NUL characters and lone surrogates anywhere in a name are refused, and nothing of the batch is stored."""
    async with trial.space() as space:
        stores = await space.open()
        for name in itertools.chain.from_iterable(_sets(trial)):
            for character in ("\0", "\ud83d", "\udc00"):
                bad = name[: len(name) // 2] + character + name[len(name) // 2 :]
                batch: list[TaskSpec] = [spec("before"), spec("bad", bad), spec("after")]
                with refused(ConfigError, ascii(bad)):
                    await stores.task_queue.enqueue(batch, now=T0)
        assert await stores.task_queue.list(now=T0) == []
