"""Schedules: one task for every fire time, whoever fires."""

from __future__ import annotations

import asyncio
import json

import attrs
import pytest

from omniq.models.event import EventType
from omniq.models.record import TaskBody
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.worker.scheduler import Scheduler, fire_id, fire_jitter

HOUR = 3_600_000
DAY = 24 * HOUR

DOMAINS = [
    {"task_queue": "memory"},
    {"task_queue": "sqlite"},
    {"task_queue": "sqlite", "schedule_storage": "memory"},
    {"task_queue": "memory", "schedule_storage": "sqlite"},
]


@pytest.fixture(params=DOMAINS, ids=lambda roles: "-".join(kind[0] for kind in roles.values()))
async def shop(request, open_shop):
    shop = await open_shop(**request.param)

    @shop.task
    async def tick(x=0):
        return x

    return shop


def every(interval_ms, first, **options):
    options.setdefault("id", "s")
    return Schedule(
        kind=ScheduleKind.INTERVAL,
        interval_ms=interval_ms,
        next_run=first,
        body=TaskBody(func="tick", args=b"[5]"),
        **options,
    )


def scheduler(shop):
    return Scheduler(shop.stores, lambda: None)


async def tasks(shop):
    return sorted(await shop.queue.list(limit=1000), key=lambda record: record.eta or 0)


async def schedule_events(shop):
    events = await shop.stores.events.read(limit=1000)
    return [(event.type, event.version) for event in events if event.task_id.startswith("sched:")]


async def test_a_due_schedule_makes_a_task_and_moves_on(shop):
    now = await shop.stores.schedules.time()
    stored = await shop.stores.schedules.put(
        every(HOUR, now - 10, queue="q", priority=3, max_attempts=2, expires_in_ms=1000)
    )
    assert await scheduler(shop).fire_due() == 1
    (task,) = await tasks(shop)
    assert task.id == fire_id("s", now - 10)
    assert (task.queue, task.priority, task.max_attempts, task.pinned) == ("q", 3, 2, True)
    assert (task.eta, task.expires_at) == (now - 10, now + 990)
    assert (task.body.func, json.loads(task.body.args)) == ("tick", [5])
    (schedule,) = await shop.stores.schedules.get(["s"])
    assert (schedule.next_run, schedule.last_run, schedule.runs) == (now - 10 + HOUR, now - 10, 1)
    assert schedule.version == stored.version + 1
    assert await schedule_events(shop) == [(EventType.SCHEDULE_FIRED, stored.version + 1)]


async def test_firing_before_its_time_does_nothing(shop):
    now = await shop.stores.schedules.time()
    await shop.stores.schedules.put(every(HOUR, now + 60_000))
    assert await scheduler(shop).fire_due() == 0
    assert await tasks(shop) == []


async def test_many_schedulers_make_one_task_a_fire_time(shop):
    now = await shop.stores.schedules.time()
    for number in range(5):
        await shop.stores.schedules.put(every(1000, now - 20_500, id=f"s{number}", misfire=MisfirePolicy.ALL))
    made = await asyncio.gather(*(scheduler(shop).fire_due() for _ in range(6)))
    ids = [task.id for task in await tasks(shop)]
    for number in range(5):
        expected = {fire_id(f"s{number}", now - 20_500 + 1000 * k) for k in range(21)}
        assert expected <= set(ids)
    assert len(ids) == len(set(ids))
    assert sum(made) >= 5 * 21
    schedules = await shop.stores.schedules.list()
    # One more may have come due while they ran.
    assert all(schedule.runs in {21, 22} for schedule in schedules)


async def test_a_crash_between_enqueue_and_advance_makes_no_second_task(open_shop):
    shop = await open_shop(task_queue="sqlite", schedule_storage="memory")
    now = await shop.stores.schedules.time()
    await shop.stores.schedules.put(every(HOUR, now - 10))
    advance = shop.stores.schedules.advance

    async def crash(advances):
        raise ZeroDivisionError("the process died here")

    shop.stores.schedules.advance = crash
    with pytest.raises(ZeroDivisionError):
        await scheduler(shop).fire_due()
    shop.stores.schedules.advance = advance
    assert await scheduler(shop).fire_due() == 1
    assert [task.id for task in await tasks(shop)] == [fire_id("s", now - 10)]
    (schedule,) = await shop.stores.schedules.get(["s"])
    assert schedule.runs == 1


async def test_missed_times_are_coalesced_and_recorded(shop):
    now = await shop.stores.schedules.time()
    stored = await shop.stores.schedules.put(every(60_000, now - 5 * 60_000 - 100))
    assert await scheduler(shop).fire_due() == 1
    (task,) = await tasks(shop)
    assert task.eta == now - 100
    assert await schedule_events(shop) == [
        (EventType.SCHEDULE_MISFIRED, stored.version + 1),
        (EventType.SCHEDULE_FIRED, stored.version + 2),
    ]
    misfired = next(
        event for event in await shop.stores.events.read(limit=99) if event.type is EventType.SCHEDULE_MISFIRED
    )
    assert misfired.error.startswith("missed 5 fire times from ")
    assert misfired.error.endswith("(coalesced)")
    (schedule,) = await shop.stores.schedules.get(["s"])
    assert (schedule.runs, schedule.next_run) == (1, now - 100 + 60_000)


async def test_skip_runs_nothing_that_was_missed(shop):
    now = await shop.stores.schedules.time()
    await shop.stores.schedules.put(every(HOUR, now - 90_000, misfire=MisfirePolicy.SKIP))
    assert await scheduler(shop).fire_due() == 0
    assert [kind for kind, _ in await schedule_events(shop)] == [EventType.SCHEDULE_MISFIRED]
    (schedule,) = await shop.stores.schedules.get(["s"])
    assert (schedule.runs, schedule.next_run) == (0, now - 90_000 + HOUR)


async def test_what_is_older_than_a_day_is_recorded_and_not_run(shop):
    now = await shop.stores.schedules.time()
    await shop.stores.schedules.put(every(12 * HOUR, now - 3 * DAY, misfire=MisfirePolicy.ALL))
    assert await scheduler(shop).fire_due() == 2
    # The one at exactly a day ago was on the edge when the times were made.
    assert [task.eta for task in await tasks(shop)] == [now - 12 * HOUR, now]
    misfired = next(
        event for event in await shop.stores.events.read(limit=99) if event.type is EventType.SCHEDULE_MISFIRED
    )
    assert misfired.error.startswith("missed 5 fire times")
    assert misfired.error.endswith("(older than 24 h)")


async def test_max_runs_ends_the_schedule(shop):
    now = await shop.stores.schedules.time()
    await shop.stores.schedules.put(every(1000, now - 5000, misfire=MisfirePolicy.ALL, max_runs=3))
    assert await scheduler(shop).fire_due() == 3
    (schedule,) = await shop.stores.schedules.get(["s"])
    assert (schedule.runs, schedule.next_run) == (3, None)
    assert await scheduler(shop).fire_due() == 0


async def test_a_one_shot_fires_once(shop):
    now = await shop.stores.schedules.time()
    await shop.stores.schedules.put(
        Schedule(id="once", kind=ScheduleKind.ONCE, next_run=now - 5, body=TaskBody(func="tick"))
    )
    assert await scheduler(shop).fire_due() == 1
    assert await scheduler(shop).fire_due() == 0
    (schedule,) = await shop.stores.schedules.get(["once"])
    assert (schedule.runs, schedule.next_run) == (1, None)


async def test_jitter_is_the_same_for_everybody_and_within_its_bounds(shop):
    now = await shop.stores.schedules.time()
    await shop.stores.schedules.put(every(HOUR, now - 10, jitter_ms=5000))
    await scheduler(shop).fire_due()
    (task,) = await tasks(shop)
    assert task.eta == now - 10 + fire_jitter("s", now - 10, 5000)
    spread = {fire_jitter("s", time, 5000) for time in range(0, 200_000, 1000)}
    assert min(spread) >= 0
    assert max(spread) <= 5000
    assert len(spread) > 150
    assert fire_jitter("s", 1, 0) == 0


async def test_a_broken_schedule_is_logged_once_and_does_not_stop_the_others(shop, caplog):
    now = await shop.stores.schedules.time()
    broken = Schedule(
        id="broken", kind=ScheduleKind.CRON, cron="not cron", next_run=now - 20, body=TaskBody(func="tick")
    )
    await shop.stores.schedules.put(broken)
    await shop.stores.schedules.put(every(HOUR, now - 10))
    one = scheduler(shop)
    assert [await one.fire_due(), await one.fire_due()] == [1, 0]
    assert [record.getMessage()[:42] for record in caplog.records] == ["schedule broken cannot be fired until it i"]


async def test_a_paused_schedule_is_passed_over(shop):
    now = await shop.stores.schedules.time()
    await shop.stores.schedules.put(every(HOUR, now - 10))
    await shop.stores.schedules.pause(["s"])
    assert await scheduler(shop).fire_due() == 0


async def test_a_worker_fires_schedules_and_runs_their_tasks(shop, until):
    now = await shop.stores.schedules.time()
    async with shop.worker(scheduler=True) as worker:
        await shop.stores.schedules.put(every(100, now + 150, max_runs=3, misfire=MisfirePolicy.ALL))
        ids = [fire_id("s", now + 150 + 100 * k) for k in range(3)]

        async def are_there():
            return all(await shop.queue.get(ids))

        await until(are_there)
        assert await shop.ended(*ids) == ["COMPLETED"] * 3
    assert worker.report.completed == 3
    started = [event.at for event in await shop.stores.events.read(limit=99) if event.type is EventType.STARTED]
    assert started[0] >= now + 150


async def test_a_cron_schedule_is_read_in_its_zone(shop):
    first = 1_750_000_000_000
    schedule = Schedule(
        id="cron",
        kind=ScheduleKind.CRON,
        cron="30 3 * * *",
        zone="Europe/Berlin",
        next_run=first,
        body=TaskBody(func="tick"),
        misfire=MisfirePolicy.COALESCE,
    )
    await shop.stores.schedules.put(schedule)
    await scheduler(shop).fire_due()
    (after,) = await shop.stores.schedules.get(["cron"])
    assert after.next_run > await shop.stores.schedules.time()
    assert after.next_run % 60_000 == 0
    assert attrs.evolve(after, next_run=None).zone == "Europe/Berlin"
