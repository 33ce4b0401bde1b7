"""Family 08: a scan by pages returns exactly once what stays, whatever is written between the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.errors import ConfigError
from omniq.models.record import Completion, TaskBody, TaskFilter
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TaskStatus
from omniq_conformance.cases.limits import refused
from omniq_conformance.cases.specimens import T0, claim, event, outcome, spec
from omniq_conformance.registry import Trial, case

if TYPE_CHECKING:
    from omniq.storage.task_queue import TaskQueue

__all__: list[str] = []

STABLE = [f"stable{number:02}" for number in range(20)]
PAGE = 3
PAGES = 100
"""More pages than that are the same ones again."""


async def _churn(queue: TaskQueue, number: int) -> None:
    """Add tasks, end some, and remove ended ones."""
    await queue.enqueue([spec(f"new{number}.{n}", "churn") for n in range(3)], now=T0)
    grants = await claim(queue, "churn", limit=2, nonce=100 + number, now=T0)
    await queue.complete([Completion(g.id, g.token) for g in grants], now=T0)
    await queue.cancel([f"new{number}.2", f"old{number}"], now=T0)
    await queue.outbox_ack(await queue.outbox(now=T0))
    await queue.purge(frozenset({TaskStatus.COMPLETED, TaskStatus.CANCELLED}), T0 + 1, 2)


@case("OQ-Q-0801")
async def tasks_under_writes(trial: Trial) -> None:
    """Listing tasks by pages misses none and repeats none while others come, end and go."""
    filters = (None, TaskFilter(queues=frozenset({"stable"})), TaskFilter(states=frozenset({TaskStatus.PENDING})))
    for desc in (False, True):
        for filter in filters:
            async with trial.space() as space:
                reader, writer = (await space.open()).task_queue, (await space.open()).task_queue
                mixed = [spec(id, "stable") for id in STABLE] + [spec(f"old{n}", "churn") for n in range(20)]
                await writer.enqueue(mixed[::2] + mixed[1::2], now=T0)
                found: list[str] = []
                after, number = None, 0
                while page := await reader.list(filter, after=after, limit=PAGE, desc=desc, now=T0):
                    found += [record.id for record in page]
                    after = page[-1].seq
                    if number < len(STABLE):
                        await _churn(writer, number)
                    number += 1
                    assert number < PAGES, "a scan by pages does not end"
                assert sorted(id for id in found if id in STABLE) == STABLE
                assert len(set(found)) == len(found)


@case("OQ-R-0801")
async def results_under_writes(trial: Trial) -> None:
    """Listing results by pages misses none and repeats none while others come and go."""
    async with trial.space() as space:
        reader, writer = (await space.open()).results, (await space.open()).results
        await writer.put([outcome(id) for id in STABLE], now=T0)
        found: list[str] = []
        after, number = None, 0
        while page := await reader.list(after=after, limit=PAGE, now=T0):
            found += [record.id for record in page]
            after = page[-1].id
            await writer.put(
                [outcome(f"a{number}"), outcome(f"stable{number:02}.5"), outcome(STABLE[0], epoch=9)], now=T0
            )
            await writer.delete([f"a{number - 2}", f"stable{number - 2:02}.5"])
            number += 1
            assert number < PAGES, "a scan by pages does not end"
        assert [id for id in found if id in STABLE] == STABLE
        assert found == sorted(set(found))


@case("OQ-E-0801")
async def events_under_writes(trial: Trial) -> None:
    """Reading events by pages finds each exactly once, those that come meanwhile too, and none before the last one."""
    async with trial.space() as space:
        reader, writer = (await space.open()).events, (await space.open()).events
        await writer.append([event("t", version) for version in range(1, 11)])
        found: list[int] = []
        after, number = None, 0
        while page := await reader.read(after=after, limit=PAGE):
            found += [each.version for each in page]
            after = page[-1].position
            if number < 10:  # noqa: PLR2004 - so often, so that the reader catches up
                await writer.append([event("t", 11 + number, at=T0 - number), event("t", number + 1)])
            await writer.trim(T0 - 100)
            number += 1
            assert number < PAGES, "a scan by pages does not end"
        assert found == list(range(1, 21))
        with refused(ConfigError, "a position that is none"):
            await reader.read(after="no position")


@case("OQ-E-0802")
async def positions_are_never_used_again(trial: Trial) -> None:
    """What is appended after everything was trimmed is found by who had read everything."""
    async with trial.space() as space:
        events = (await space.open()).events
        await events.append([event("t", 1), event("t", 2)])
        position = (await events.read())[-1].position
        assert await events.trim(T0 + 1) == 2  # noqa: PLR2004 - both
        await events.append([event("t", 3)])
        assert [each.version for each in await events.read(after=position)] == [3]
        assert await events.read(after=position, desc=True) == []


@case("OQ-S-0801")
async def schedules_under_writes(trial: Trial) -> None:
    """Listing schedules by pages misses none and repeats none while others come and go."""
    async with trial.space() as space:
        reader, writer = (await space.open()).schedules, (await space.open()).schedules
        made = Schedule(id="", kind=ScheduleKind.ONCE, body=TaskBody(func="f"), next_run=T0)
        for id in STABLE:
            await writer.put(attrs.evolve(made, id=id), now=T0)
        found: list[str] = []
        after, number = None, 0
        while page := await reader.list(after=after, limit=PAGE):
            found += [schedule.id for schedule in page]
            after = page[-1].id
            await writer.put(attrs.evolve(made, id=f"a{number}"), now=T0)
            for place in (number, (7 * number + 9) % len(STABLE)):  # one that was read, and one that may not be yet
                await writer.put(attrs.evolve(made, id=STABLE[place]), now=T0)
            await writer.delete([f"a{number - 1}"])
            number += 1
            assert number < PAGES, "a scan by pages does not end"
        assert [id for id in found if id in STABLE] == STABLE
        assert found == sorted(set(found))
