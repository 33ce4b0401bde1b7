from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from omniq.errors import ConfigError, ScheduleNotFoundError, SerializationError
from omniq.models.schedule import MisfirePolicy, ScheduleKind

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def report(day: str = "") -> str:
    return day


async def test_a_cron_schedule(app):
    schedule = await app.add_schedule("nightly", report, ("x",), cron="30 3 * * *", zone="Europe/Berlin", queue="mail")
    assert (schedule.kind, schedule.cron, schedule.zone, schedule.queue) == (
        ScheduleKind.CRON,
        "30 3 * * *",
        "Europe/Berlin",
        "mail",
    )
    assert schedule.body.func == f"{__name__}.report"
    assert schedule.body.args == b'["x"]'
    assert (schedule.misfire, schedule.grace_ms, schedule.jitter_ms, schedule.max_runs) == (
        MisfirePolicy.COALESCE,
        None,
        0,
        None,
    )
    now = datetime.now(UTC)
    assert now < schedule.next_run_at <= now + timedelta(days=1, hours=1)


async def test_every_option_is_stored(app):
    schedule = await app.add_schedule(
        "often",
        report,
        interval=timedelta(minutes=5),
        at=FAR,
        misfire="ALL",
        grace=timedelta(minutes=1),
        jitter=2,
        max_runs=3,
        paused=True,
        priority=4,
        max_retries=0,
        timeout=9,
        result_ttl="never",
        expires_in=60,
        headers={"tenant": "a"},
    )
    assert (schedule.kind, schedule.interval_ms, schedule.next_run_at) == (ScheduleKind.INTERVAL, 300_000, FAR)
    assert (schedule.misfire, schedule.grace_ms, schedule.jitter_ms, schedule.max_runs, schedule.paused) == (
        MisfirePolicy.ALL,
        60_000,
        2000,
        3,
        True,
    )
    assert (schedule.priority, schedule.max_attempts, schedule.expires_in_ms) == (4, 1, 60_000)
    body = schedule.body
    assert (body.timeout_ms, body.result_ttl_ms, dict(body.headers)) == (9000, None, {"tenant": "a"})


async def test_a_single_time(app):
    schedule = await app.add_schedule("once", report, at=FAR)
    assert (schedule.kind, schedule.next_run_at) == (ScheduleKind.ONCE, FAR)
    assert await app.next_fire_times("once") == [FAR]


async def test_an_interval_begins_one_interval_from_now(app):
    before = datetime.now(UTC)
    schedule = await app.add_schedule("often", report, interval=timedelta(hours=1))
    assert (
        timedelta(hours=1) <= schedule.next_run_at - before + timedelta(milliseconds=1) < timedelta(hours=1, minutes=1)
    )


async def test_an_interval_keeps_to_its_first_time_in_the_past(app):
    schedule = await app.add_schedule(
        "often", report, interval=timedelta(hours=1), at=datetime(2020, 1, 1, 0, 20, tzinfo=UTC)
    )
    assert (schedule.next_run_at.minute, schedule.next_run_at.second) == (20, 0)
    assert schedule.next_run_at > datetime.now(UTC)


async def test_the_task_gives_its_options(app):
    @app.task(name="send", queue="mail", priority=2, max_retries=1)
    def send(to: str) -> None: ...

    schedule = await app.add_schedule("mails", send.options(priority=3).call("a"), cron="@daily")
    assert (schedule.queue, schedule.priority, schedule.max_attempts, schedule.body.args) == ("mail", 3, 2, b'["a"]')


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "A schedule is a cron expression, an interval, or one time"),
        ({"cron": "@daily", "interval": timedelta(1)}, "A schedule is a cron expression, an interval, or one time"),
        ({"cron": "@daily", "at": FAR}, "A schedule is a cron expression, an interval, or one time"),
        ({"cron": "61 * * * *"}, "61"),
        ({"cron": "@daily", "zone": "Mars/Base"}, "Mars/Base"),
        ({"interval": 60}, "interval: 60 is not an interval"),
        ({"interval": timedelta(0)}, "is not an interval"),
        ({"at": FAR.replace(tzinfo=None)}, "at: .* has no time zone"),
        ({"cron": "@daily", "misfire": "ignore"}, "misfire: 'ignore' is unknown. .*skip, coalesce, all"),
        ({"cron": "@daily", "grace": -1}, "grace: -1 is negative"),
        ({"cron": "@daily", "max_runs": 0}, "max_runs: 0 is not a number of runs"),
        ({"cron": "@daily", "priority": 10}, "priority: 10 is not a priority"),
    ],
)
async def test_what_is_invalid_is_refused(memory, options, message):
    with pytest.raises(ConfigError, match=message):
        await memory.add_schedule("s", report, **options)
    assert await memory.list_schedules() == []


async def test_a_schedule_needs_a_name_and_arguments_that_can_be_stored(memory):
    with pytest.raises(ConfigError, match="id: '' is not a name of a schedule"):
        await memory.add_schedule("", report, cron="@daily")
    with pytest.raises(SerializationError, match="argument 1"):
        await memory.add_schedule("s", report, (object(),), cron="@daily")


@pytest.mark.parametrize(
    ("options", "name"),
    [({"unique_key": "k"}, "unique_key='k'"), ({"delay": 5}, "delay=5000"), ({"interval": timedelta(1)}, "interval=")],
)
async def test_a_task_that_says_itself_when_it_starts_cannot_be_scheduled(memory, options, name):
    @memory.task(name="send", **options)
    def send() -> None: ...

    with pytest.raises(ConfigError, match=f"The schedule 's' cannot enqueue a task with {name}"):
        await memory.add_schedule("s", send, cron="@daily")


async def test_adding_the_same_again_changes_nothing(app):
    for options in ({"cron": "@daily"}, {"interval": timedelta(1)}, {"at": FAR}):
        first = await app.add_schedule("s", report, ("x",), **options)
        assert await app.add_schedule("s", report, ("x",), **options) == first
        await app.delete_schedule("s")


async def test_adding_another_definition_replaces_it(app):
    first = await app.add_schedule("s", report, cron="@daily", max_runs=5)
    await app.pause_schedule("s")
    second = await app.add_schedule("s", report, cron="@hourly", max_runs=5)
    assert (second.cron, second.paused) == ("@hourly", True)
    assert second.version > first.version
    moved = await app.add_schedule("s", report, at=FAR)
    assert (moved.kind, moved.next_run_at) == (ScheduleKind.ONCE, FAR)
    assert (await app.add_schedule("s", report, at=FAR + timedelta(1))).next_run_at == FAR + timedelta(1)
    assert (await app.add_schedule("s", report, at=FAR + timedelta(1), paused=False)).paused is False


async def test_schedules_are_listed_by_id_and_removed(app):
    for name in ("b", "a", "c"):
        await app.add_schedule(name, report, cron="@daily")
    assert [schedule.id for schedule in await app.list_schedules()] == ["a", "b", "c"]
    assert await app.delete_schedule("b") is True
    assert await app.delete_schedule("b") is False
    assert [schedule.id for schedule in await app.list_schedules()] == ["a", "c"]


async def test_pausing_and_resuming_are_recorded(app):
    await app.add_schedule("s", report, cron="@daily")
    assert (await app.pause_schedule("s")).paused
    assert (await app.pause_schedule("s")).paused
    assert not (await app.resume_schedule("s")).paused
    assert not (await app.get_schedule("s")).paused
    events = await app.events("sched:s")
    assert [event.type.value for event in events] == ["SCHEDULE_PAUSED", "SCHEDULE_RESUMED"]
    assert events[0].version < events[1].version


async def test_a_schedule_can_run_now(app):
    await app.add_schedule("s", report, ("today",), cron="@daily", queue="mail", expires_in=60, paused=True)
    before = await app.get_schedule("s")
    job = await app.run_schedule("s")
    task = await app.get_task(job)
    assert (task.args, task.queue, task.expires_at is not None) == (["today"], "mail", True)
    await app.worker(queues="mail", burst=True).run()
    assert await job.result(5) == "today"
    assert await app.get_schedule("s") == before


async def test_the_next_fire_times(app):
    await app.add_schedule("s", report, cron="0 12 1 1 *")
    times = await app.next_fire_times("s", 3)
    assert [(time.month, time.day, time.hour) for time in times] == [(1, 1, 12)] * 3
    assert times[1] - times[0] in {timedelta(365), timedelta(366)}
    await app.add_schedule("often", report, interval=timedelta(minutes=5), at=FAR, max_runs=2)
    assert await app.next_fire_times("often", 3) == [FAR, FAR + timedelta(minutes=5)]
    assert await app.next_fire_times("often", 0) == []


@pytest.mark.parametrize(
    "method", ["get_schedule", "pause_schedule", "resume_schedule", "run_schedule", "next_fire_times"]
)
async def test_a_schedule_that_is_not_there(app, method):
    with pytest.raises(ScheduleNotFoundError, match="No schedule has the id 'nothing'"):
        await getattr(app, method)("nothing")


async def test_a_schedule_fires(app, until):
    await app.add_schedule("s", report, ("now",), at=datetime.now(UTC))
    async with app.worker():
        await until(lambda: app.count_tasks(status="COMPLETED"))
    (task,) = await app.list_tasks()
    assert (task.args, task.result) == (["now"], "now")
    assert await app.next_fire_times("s") == []
    assert (
        await app.add_schedule("s", report, ("now",), at=(await app.get_schedule("s")).last_run_at)
    ).next_run is None
