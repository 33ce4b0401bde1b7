from __future__ import annotations

import asyncio
import random

import attrs
import pytest

from omniq.errors import ConfigError
from omniq.models.event import Event, EventFilter, EventType
from omniq.models.record import Completion
from omniq.models.status import TaskStatus

MANY = 3000  # more than two pages of the log


def event(number, *, at=None, task="t", **fields):
    at = number if at is None else at
    return Event(task_id=task, seq=1, version=number, type=EventType.RETRYING, at=at, **fields)


async def read_all(events, **options):
    found, after = [], None
    while page := await events.read(after=after, limit=700, **options):
        found += page
        after = page[-1].position
    return found


async def test_events_come_back_as_they_were(roles):
    full = Event(
        task_id="t",
        seq=3,
        version=4,
        type=EventType.FAILED,
        at=5,
        queue="q",
        state=TaskStatus.FAILED,
        attempt=6,
        epoch=7,
        ready_at=8,
        worker="w",
        error="boom",
        duration_ms=9,
    )
    bare = Event(task_id="sched:s", seq=0, version=1, type=EventType.SCHEDULE_FIRED, at=5)
    assert await roles.events.append([full, bare, full]) == 2
    assert [attrs.evolve(each, position=None) for each in await roles.events.read()] == [full, bare]


async def test_many_events_are_read_in_pages_both_ways(roles):
    assert await roles.events.append([event(number) for number in range(MANY)]) == MANY
    ascending = await read_all(roles.events)
    descending = await read_all(roles.events, desc=True)
    assert [each.version for each in ascending] == list(range(MANY))
    assert [each.version for each in descending] == list(range(MANY))[::-1]
    assert len({each.position for each in ascending}) == MANY


async def test_what_a_joined_queue_wrote_is_known(roles, spec):
    await roles.queue.enqueue([spec(f"t{number}") for number in range(MANY)])
    written = await read_all(roles.events)
    assert await roles.events.append(written) == 0
    assert await roles.events.append([attrs.evolve(written[0], version=2)]) == 1
    assert [each.version for each in await roles.events.read(filter=EventFilter(task_id="t0"))] == [1, 2]


@pytest.mark.parametrize("seed", range(60))
async def test_the_filter_means_what_it_defines(roles, seed):
    chance = random.Random(seed)
    events = [
        event(
            number,
            at=chance.randint(0, 50),
            task=chance.choice("ab"),
            queue=chance.choice("xy"),
            state=chance.choice([None, *TaskStatus]),
        )
        for number in range(200)
    ]
    events = [attrs.evolve(each, type=chance.choice(list(EventType))) for each in events]
    await roles.events.append(events)
    where = EventFilter(
        task_id=chance.choice([None, "a", "unknown"]),
        types=chance.choice([None, frozenset(chance.sample(list(EventType), 4)), frozenset()]),
        queues=chance.choice([None, frozenset("x"), frozenset("xyz")]),
        at_from=chance.choice([None, 20]),
        at_before=chance.choice([None, 40]),
    )
    expected = [each.version for each in events if where.matches(each)]
    assert [each.version for each in await roles.events.read(filter=where, limit=1000)] == expected
    newest = await roles.events.read(filter=where, limit=5, desc=True)
    assert [each.version for each in newest] == expected[::-1][:5]


@pytest.mark.parametrize("seed", range(20))
async def test_trim_removes_the_first_old_ones_whatever_their_order(roles, seed):
    chance = random.Random(seed)
    kept, version = [], 0
    for _ in range(6):
        events = []
        for _ in range(chance.randint(1, 900)):
            version += 1
            events.append(event(version, at=version + chance.choice([0, 0, 0, -400]), task=chance.choice("ab")))
        kept += events
        assert await roles.events.append(events) == len(events)
        await roles.events.read(filter=EventFilter(task_id="a"))  # has an index made
        before, limit = chance.randint(0, version), chance.randint(1, 1500)
        old = [each for each in kept if each.at < before][:limit]
        assert await roles.events.trim(before, limit) == len(old)
        removed = {each.version for each in old}
        kept = [each for each in kept if each.version not in removed]
        assert [each.version for each in await read_all(roles.events)] == [each.version for each in kept]
        of_a = await read_all(roles.events, filter=EventFilter(task_id="a"))
        assert [each.version for each in of_a] == [each.version for each in kept if each.task_id == "a"]
        assert await roles.events.append(kept) == 0


async def test_a_trimmed_log_lets_go_of_everything(roles):
    log = roles.state.log
    await roles.events.append([event(number) for number in range(MANY)])
    await roles.events.read(filter=EventFilter(task_id="t"))
    assert await roles.events.trim(MANY, MANY) == MANY
    assert (log._known, log._by_task, log._holes) == (set(), {}, set())
    assert len(log._pages) == 0
    assert await roles.events.append([event(0)]) == 1
    assert [each.position for each in await roles.events.read()] == [str(MANY)]


@pytest.mark.parametrize("position", ["", "x", "-1", "1.5", "7", "٣", " 1"])
async def test_what_is_no_position_is_refused(roles, position):
    await roles.events.append([event(number) for number in range(7)])
    with pytest.raises(ConfigError, match="is not a position of this event storage"):
        await roles.events.read(after=position)
    with pytest.raises(ConfigError, match="is not a position of this event storage"):
        roles.events.tail(after=position)


# Following


async def test_a_tail_yields_what_is_appended_from_its_call_on(roles, spec, until_waiting):
    await roles.queue.enqueue([spec("before")])
    tail = roles.events.tail(filter=EventFilter(types=frozenset({EventType.ENQUEUED, EventType.COMPLETED})))
    await roles.queue.enqueue([spec("t")])
    assert (await anext(tail)).task_id == "t"
    waiting = asyncio.ensure_future(anext(tail))
    await until_waiting(roles.state.log.board, "")
    (grant,) = await roles.queue.claim(["default"], 1, "w", 30_000, "c")
    await asyncio.sleep(0)
    assert not waiting.done()  # STARTED is not meant
    await roles.queue.complete([Completion(grant.id, grant.token)])
    assert (await asyncio.wait_for(waiting, 5)).type is EventType.COMPLETED
    await tail.aclose()


async def test_a_tail_goes_on_from_a_position_without_gaps(roles):
    await roles.events.append([event(number) for number in range(MANY)])
    tail = roles.events.tail(after="9")
    seen = [(await anext(tail)).version for _ in range(MANY - 10)]
    assert seen == list(range(10, MANY))
    await tail.aclose()


async def test_a_tail_ends_when_the_storage_is_closed(roles, until_waiting):
    tail = roles.events.tail()
    waiting = asyncio.ensure_future(anext(tail, "the end"))
    await until_waiting(roles.state.log.board, "")
    await roles.events.close()
    assert await asyncio.wait_for(waiting, 5) == "the end"
    assert roles.state.log.board.waiting == {}
