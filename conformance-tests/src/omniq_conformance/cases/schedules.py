"""Family 11: schedules fire once for each time, whoever fires them, pauses them, or dies on the way.

The storage keeps definitions, times and versions; the core computes the times. These cases give the storage the fire
times of days on which clocks are moved, and let schedulers race and die as the contract's section 7 says they may.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from omniq.models.config import Role
from omniq.models.record import TaskBody, TaskSpec
from omniq.models.schedule import MisfirePolicy, Schedule, ScheduleKind
from omniq.models.status import TaskStatus
from omniq.storage.schedules import Advance
from omniq.worker.scheduler import fire_id
from omniq_conformance.cases.sharing import require_processes
from omniq_conformance.cases.specimens import T0, claim, spec
from omniq_conformance.concurrency import schedulers
from omniq_conformance.mixed import completed
from omniq_conformance.outcomes import DivergenceError, UnverifiedError, VacuousError
from omniq_conformance.programs.machines import ROLES
from omniq_conformance.registry import Trial, case
from omniq_conformance.space import Mode, Space

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from omniq_conformance.space import Stores

__all__: list[str] = []

BOTH = (Mode.SEPARATE, Mode.JOINED)
_MINUTE = 60_000
_BODY = TaskBody(func="pkg.f")
_FIRING = ROLES["schedule-queue"]

DAYS = (
    ("Europe/Berlin", "2024-03-31"),
    ("Europe/Berlin", "2024-10-27"),
    ("America/New_York", "2024-03-10"),
    ("America/New_York", "2024-11-03"),
    ("Australia/Lord_Howe", "2024-04-07"),
    ("Australia/Lord_Howe", "2024-10-06"),
    ("Asia/Kathmandu", "1986-01-01"),
    ("Africa/Casablanca", "2024-03-10"),
    ("Africa/Casablanca", "2024-04-14"),
    ("Pacific/Apia", "2011-12-30"),
)
"""Days on which the clocks of a zone jump: by an hour, by half of one, by a quarter, and by a whole day."""


def _space(trial: Trial) -> Space:
    return Space(completed(trial.harness, _FIRING), trial.mode)


async def _opened(space: Space) -> Stores:
    """Return a handle; in joined mode with the schedules joined."""
    stores = await space.open()
    if space.mode is Mode.JOINED:
        stores.require_joined(Role.SCHEDULE_STORAGE)
    return stores


def _quarters(zone: str, day: str) -> list[int]:
    """Return each time of the hours around a jump at which the clock shows a full quarter, in milliseconds."""
    try:
        tz = ZoneInfo(zone)
    except ZoneInfoNotFoundError as error:
        msg = f"This system does not know the zone {zone}. Run: pip install tzdata"
        raise UnverifiedError(msg) from error
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=tz).timestamp()
    minutes = (int(noon) * 1000 + minute * _MINUTE for minute in range(-14 * 60, -6 * 60))
    return [time for time in minutes if datetime.fromtimestamp(time / 1000, tz).minute in {0, 15, 30, 45}]


async def _fire(stores: Stores, schedule: Schedule, times: Sequence[int], following: int | None, *, now: int) -> bool:
    """Enqueue and advance; in one step if the queue has joined the schedules."""
    specs = [TaskSpec(id=fire_id(schedule.id, time), body=_BODY, queue="a", eta=time, pinned=True) for time in times]
    move = Advance(
        id=schedule.id,
        expected_version=schedule.version,
        next_run=following,
        last_run=times[-1] if times else None,
        fired=len(times),
    )
    if Role.SCHEDULE_STORAGE in stores.joined:
        return await stores.task_queue.fire(specs, move, now=now) is not None
    await stores.task_queue.enqueue(specs, now=now)
    return await stores.schedules.advance([move]) == [True]


@case("OQ-X-1101", modes=BOTH)
async def days_of_jumps(trial: Trial) -> None:
    """On days on which clocks are moved, a schedule fires at each of its times, once and to the millisecond."""
    fired = 0
    days = DAYS if trial.profile.histories > 1 else DAYS[:3]
    for zone, day in days:
        times = _quarters(zone, day)
        async with _space(trial) as space:
            stores = await _opened(space)
            await _one_day(stores, zone, times)
            tasks = await stores.task_queue.list(limit=len(times) + 1, now=times[-1])
        assert [(task.id, task.eta) for task in tasks] == [(fire_id(zone, time), time) for time in times], (zone, day)
        fired += len(times)
    trial.evidence.update(days=len(days), fired=fired)


async def _one_day(stores: Stores, zone: str, times: Sequence[int]) -> None:
    cron = Schedule(id=zone, kind=ScheduleKind.CRON, body=_BODY, cron="*/15 * * * *", zone=zone, next_run=times[0])
    await stores.schedules.put(cron, now=times[0] - 1)
    for time, following in zip(times, [*times[1:], None], strict=True):
        assert await stores.schedules.due(now=time - 1) == []
        assert await stores.schedules.next_due() == time
        (due,) = await stores.schedules.due(now=time)
        assert (due.cron, due.zone, due.next_run) == (cron.cron, zone, time)
        assert await _fire(stores, due, [time], following, now=time)
    (over,) = await stores.schedules.get([zone])
    assert over is not None
    assert (over.next_run, over.last_run, over.runs) == (None, times[-1], len(times))


@case("OQ-S-1102")
async def definitions(trial: Trial) -> None:
    """Every field of a definition comes back as it was given: zones, expressions, policies, grace and jitter."""
    async with trial.space() as space:
        schedules = (await space.open()).schedules
        given = [
            Schedule(
                id=f"{policy}-{zone}",
                kind=ScheduleKind.CRON,
                body=attrs.evolve(_BODY, args=b"\x00\xff", codec="msgpack"),
                cron="15,45 2 29 2 SUN#1",
                zone=zone,
                queue="b",
                priority=9,
                max_attempts=7,
                expires_in_ms=1,
                misfire=policy,
                grace_ms=grace,
                jitter_ms=59_999,
                max_runs=3,
                next_run=2**42,
            )
            for zone, _ in dict.fromkeys(DAYS)
            for policy, grace in zip(MisfirePolicy, (None, 0, 86_400_000), strict=True)
        ]
        for schedule in given:
            await schedules.put(schedule, now=T0)
        stored = await schedules.get([schedule.id for schedule in given])
        assert [each and attrs.evolve(each, version=0, created_at=0) for each in stored] == given


@case("OQ-S-1103")
async def paused_through_a_fire_time(trial: Trial) -> None:
    """A paused schedule is never due, keeps its next time, and is due with it once it is resumed."""
    async with trial.space() as space:
        schedules = (await space.open()).schedules
        await schedules.put(Schedule(id="s", kind=ScheduleKind.INTERVAL, body=_BODY, interval_ms=10, next_run=T0 + 5))
        (paused,) = await schedules.pause(["s"])
        assert paused is not None
        assert await schedules.due(now=T0 + 1000) == []
        assert await schedules.next_due() is None
        assert await schedules.pause(["s"]) == [None]
        (resumed,) = await schedules.resume(["s"])
        assert resumed is not None
        assert (resumed.next_run, resumed.version) == (T0 + 5, paused.version + 1)
        assert await schedules.due(now=T0 + 4) == []
        assert await schedules.due(now=T0 + 5) == [resumed]
        assert await schedules.resume(["s"]) == [None]


@case("OQ-X-1104", modes=BOTH)
async def run_now(trial: Trial) -> None:
    """A run besides the fire times changes nothing of the schedule, and the next fire time still makes its task."""
    async with _space(trial) as space:
        stores = await _opened(space)
        schedule = Schedule(id="s", kind=ScheduleKind.INTERVAL, body=_BODY, interval_ms=10, next_run=T0 + 10)
        before = await stores.schedules.put(schedule, now=T0)
        assert before is not None
        await stores.task_queue.enqueue([spec("by hand")], now=T0)
        assert await stores.schedules.get(["s"]) == [before]
        assert await _fire(stores, before, [T0 + 10], T0 + 20, now=T0 + 10)
        assert not await _fire(stores, before, [T0 + 10], T0 + 20, now=T0 + 10)
        grants = await claim(stores.task_queue, now=T0 + 10)
        assert sorted(grant.id for grant in grants) == sorted(["by hand", fire_id("s", T0 + 10)])


@case("OQ-X-1105", modes=BOTH)
async def late_scheduler(trial: Trial) -> None:
    """A scheduler that was away fires what the policy keeps, in one change, and records the latest time."""
    kept = {MisfirePolicy.ALL: 4, MisfirePolicy.COALESCE: 1, MisfirePolicy.SKIP: 0}
    async with _space(trial) as space:
        stores = await _opened(space)
        for policy, number in kept.items():
            schedule = Schedule(
                id=policy, kind=ScheduleKind.INTERVAL, body=_BODY, interval_ms=10, next_run=T0, misfire=policy
            )
            await stores.schedules.put(schedule, now=T0)
            (due,) = [each for each in await stores.schedules.due(now=T0 + 35) if each.id == policy]
            times = [T0, T0 + 10, T0 + 20, T0 + 30][4 - number :]
            assert await _fire(stores, due, times, T0 + 40, now=T0 + 35)
            (after,) = await stores.schedules.get([policy])
            assert after is not None
            assert (after.version, after.runs, after.next_run) == (due.version + 1, number, T0 + 40)
            assert after.last_run == (times[-1] if times else None)
        assert await stores.task_queue.count(now=T0 + 35) == sum(kept.values())


@case("OQ-X-1106")
async def every_crash(trial: Trial) -> None:
    """Wherever a scheduler dies between its steps, the next one leaves one task for each time and loses none."""
    async with _space(trial) as space:
        stores = await _opened(space)
        points = 0
        for number, dies_after in enumerate(("due", "one of two", "enqueue", "advance")):
            id = f"s{number}"
            schedule = Schedule(id=id, kind=ScheduleKind.INTERVAL, body=_BODY, interval_ms=10, next_run=T0)
            await stores.schedules.put(schedule, now=T0)
            await _dying(stores, id, dies_after)
            handle = await space.open()
            for due in await handle.schedules.due(now=T0 + 15):
                await _fire(handle, due, [T0, T0 + 10], T0 + 20, now=T0 + 15)
            points += 1
            tasks = {task.id: task.state for task in await handle.task_queue.list(now=T0 + 15)}
            ended = TaskStatus.CANCELLED if dies_after != "due" else TaskStatus.PENDING
            assert tasks.pop(fire_id(id, T0)) is ended, dies_after
            assert tasks.pop(fire_id(id, T0 + 10)) is TaskStatus.PENDING, dies_after
            (after,) = await handle.schedules.get([id])
            assert after is not None
            assert (after.runs, after.next_run) == (2, T0 + 20)
        trial.evidence.update(points=points)


async def _dying(stores: Stores, id: str, dies_after: str) -> None:
    (due,) = [each for each in await stores.schedules.due(now=T0 + 15) if each.id == id]
    specs = [TaskSpec(id=fire_id(id, T0 + n), body=_BODY, queue="a", eta=T0 + n, pinned=True) for n in (0, 10)]
    if dies_after == "due":
        return
    await stores.task_queue.enqueue(specs[:1], now=T0 + 15)
    # The task ends before the fire time is repeated: it must not come back.
    await stores.task_queue.cancel([specs[0].id], now=T0 + 15)
    if dies_after == "one of two":
        return
    await stores.task_queue.enqueue(specs[1:], now=T0 + 15)
    if dies_after == "advance":
        move = Advance(id=id, expected_version=due.version, next_run=T0 + 20, last_run=T0 + 10, fired=2)
        assert await stores.schedules.advance([move]) == [True]


@case("OQ-X-1110", modes=BOTH)
async def racing_coroutines(trial: Trial) -> None:
    """Schedulers that share one handle fire every time once, and lose none."""
    await _race(trial, schedulers.coroutines)


@case("OQ-X-1111", modes=BOTH)
async def racing_handles(trial: Trial) -> None:
    """Schedulers with handles of their own fire every time once, and lose none."""
    await _race(trial, schedulers.handles)


@case("OQ-X-1112", modes=BOTH)
async def racing_threads(trial: Trial) -> None:
    """Schedulers in threads of their own fire every time once, and lose none."""
    await _race(trial, schedulers.threads)


@case("OQ-X-1113", modes=BOTH)
async def racing_processes(trial: Trial) -> None:
    """Schedulers in processes of their own, one of which is killed, fire every time once, and lose none."""
    await require_processes(_space(trial), *_FIRING)
    await _race(trial, schedulers.processes)


async def _race(trial: Trial, act: Callable[[Space, schedulers.Race], Awaitable[Sequence[schedulers.Fired]]]) -> None:
    race = schedulers.Race(schedulers=3, schedules=3, fires=max(6, trial.profile.tasks // 4))
    async with _space(trial) as space:
        stores = await _opened(space)
        start = await stores.schedules.time() - race.fires
        for id in race.ids:
            await stores.schedules.put(
                Schedule(id=id, kind=ScheduleKind.INTERVAL, body=_BODY, interval_ms=1, next_run=start)
            )
        told = [each for each in await act(space, race) if each.id in race.ids]
        await schedulers.finish(stores, race)
        tasks = [task.id for task in await stores.task_queue.list(limit=10_000)]
        wanted = [fire_id(id, start + number) for id in race.ids for number in range(race.fires)]
        ended = await stores.schedules.get(race.ids)
    faults = [f"{tasks.count(id)} tasks of a fire time" for id in wanted if tasks.count(id) != 1]
    faults += [f"task {id} is of no fire time" for id in sorted(set(tasks) - set(wanted))]
    faults += [
        f"{each.id} counts {each.runs} of {race.fires} runs" for each in ended if each and each.runs != race.fires
    ]
    won = [(each.id, each.version) for each in told if each.won]
    faults += [f"two schedulers advanced {each}" for each in {*won} if won.count(each) > 1]
    if faults:
        msg = f"{len(faults)} faults of {race.schedulers} schedulers: {'; '.join(faults[:10])}"
        raise DivergenceError(msg)
    trial.evidence.update(fired=len(wanted), refused=sum(not each.won for each in told))
    if len({each.scheduler for each in told if each.won}) < 2:  # noqa: PLR2004 - a race has two
        msg = "Only one scheduler ever fired, so nothing raced."
        raise VacuousError(msg)
