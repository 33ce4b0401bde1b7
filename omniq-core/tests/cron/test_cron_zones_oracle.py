"""Missed fire times over the days on which clocks jump, against a scan of every minute that knows nothing of cron.

`test_expression.py` compares single fire times with a scan that reads expressions with the same parser. Here the
expression is made from sets of minutes, hours and days, the scan only asks the zone what its clocks show, and
schedulers of every misfire policy wake at arbitrary times.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniq.clock import to_millis
from omniq.cron import Cron, plan_fires

MINUTE = timedelta(minutes=1)
MINUTE_MS = 60_000
EVERY_HOUR = frozenset(range(24))
_BEFORE = 4 * 60
JUMPS = [
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
]


@cache
def shown(zone: str, day: str) -> list[tuple[int, datetime]]:
    """Each minute around a jump: when it is, and what clocks show; the first hours only say what was shown before."""
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    start = noon.replace(second=0) - timedelta(hours=20)
    instants = (start + timedelta(minutes=number) for number in range(48 * 60))
    return [(to_millis(at), at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)) for at in instants]


def scan(zone: str, day: str, minutes: frozenset[int], hours: frozenset[int], days: frozenset[int]) -> list[int]:
    """Every fire time by what people expect of clocks.

    A schedule for every hour fires whenever the clock shows a matching time. Any other fires once for each matching
    time of the calendar: the first time it is shown, or at once if the clock has just passed over it.
    """

    def matches(wall: datetime) -> bool:
        return wall.minute in minutes and wall.hour in hours and wall.day in days

    fires = []
    latest = None
    for at, wall in shown(zone, day):
        if hours >= EVERY_HOUR:
            is_due = matches(wall)
        else:
            passed = 1 if latest is None else max(0, (wall - latest) // MINUTE)
            is_due = any(matches(wall - MINUTE * number) for number in range(passed))
            latest = wall if latest is None else max(latest, wall)
        if is_due:
            fires.append(at)
    return fires


def text(values: frozenset[int], everything: int) -> str:
    return "*" if len(values) == everything else ",".join(map(str, sorted(values)))


minutes_ = st.frozensets(st.sampled_from([0, 1, 15, 29, 30, 45, 59]), min_size=1, max_size=4)
hours_ = st.one_of(st.just(EVERY_HOUR), st.frozensets(st.sampled_from([0, 1, 2, 3, 4, 12, 23]), min_size=1, max_size=4))
jumps_ = st.sampled_from(JUMPS)


def days_around(day: str) -> frozenset[int]:
    return frozenset((date.fromisoformat(day) + timedelta(days=number)).day for number in (-1, 0, 1, 2))


def case(jump, minutes, hours, *, some_days):
    zone, day = jump
    days = days_around(day) if some_days else frozenset(range(1, 32))
    cron = Cron(f"{text(minutes, 60)} {text(hours, 24)} {text(days, 31)} * *", zone)
    start = shown(zone, day)[_BEFORE][0]
    return cron, start, [time for time in scan(zone, day, minutes, hours, days) if time > start]


@settings(max_examples=60, deadline=None)
@given(jumps_, minutes_, hours_, st.booleans())
def test_fire_times_are_those_that_a_scan_of_the_clock_finds(jump, minutes, hours, some_days):
    cron, start, expected = case(jump, minutes, hours, some_days=some_days)
    end = shown(*jump)[-1][0]
    assert list(itertools.takewhile(lambda time: time <= end, cron.upcoming(start, 10_000))) == expected


@settings(max_examples=60, deadline=None)
@given(jumps_, minutes_, hours_, st.lists(st.integers(1, 60 * 12), min_size=1, max_size=8))
def test_a_scheduler_that_wakes_at_any_times_loses_and_repeats_nothing(jump, minutes, hours, naps):
    cron, start, expected = case(jump, minutes, hours, some_days=False)
    next_run, now, fired = cron.next_after(start), start, []
    end = shown(*jump)[-1][0]
    for nap in naps:
        now = min(end, now + nap * MINUTE_MS + 1)
        plan = plan_fires(next_run=next_run, now=now, next_after=cron.next_after, policy="all", max_catchup=100_000)
        assert plan.misfired == ()
        fired += plan.fire
        next_run = plan.next_run
    assert fired == [time for time in expected if time <= now]
    assert next_run == next((time for time in expected if time > now), next_run)
    assert next_run > now


@settings(max_examples=60, deadline=None)
@given(jumps_, minutes_, hours_, st.integers(1, 60 * 44), st.one_of(st.none(), st.integers(0, 60 * 30)))
def test_each_missed_time_is_run_or_recorded_once(jump, minutes, hours, away, grace):
    cron, start, expected = case(jump, minutes, hours, some_days=False)
    now = min(shown(*jump)[-1][0], start + away * MINUTE_MS)
    due = [time for time in expected if time <= now]
    grace_ms = None if grace is None else grace * MINUTE_MS
    for policy in ("coalesce", "skip", "all"):
        plan = plan_fires(
            next_run=cron.next_after(start), now=now, next_after=cron.next_after, policy=policy, grace_ms=grace_ms
        )
        kept = now - (60_000 if policy == "skip" and grace is None else grace_ms if grace_ms is not None else now)
        timely = [time for time in due if time >= kept]
        assert list(plan.fire) == (timely if policy == "all" else timely[-1:])
        recorded = [time for span in plan.misfired for time in due if span.first <= time <= span.last]
        assert sorted([*plan.fire, *recorded]) == due
        assert sum(span.count for span in plan.misfired) == len(recorded)


@pytest.mark.parametrize(("zone", "day"), JUMPS)
def test_the_days_have_jumps(zone, day):
    walls = [wall for _, wall in shown(zone, day)[_BEFORE:]]
    steps = {later - earlier for earlier, later in itertools.pairwise(walls)}
    assert len(steps - {MINUTE}) == 1


@pytest.mark.parametrize(
    ("zone", "day", "hour", "expected"),
    [
        ("Pacific/Apia", "2011-12-30", 12, ["2011-12-31", "2011-12-31"]),
        ("Europe/Berlin", "2024-10-27", 2, ["2024-10-27", "2024-10-28"]),
        ("Europe/Berlin", "2024-03-31", 2, ["2024-03-31", "2024-04-01"]),
    ],
)
def test_what_the_scan_finds_is_what_was_meant(zone, day, hour, expected):
    """The day that Apia never had fires as soon as it is over, and an hour that comes twice fires once."""
    times = scan(zone, day, frozenset({0}), frozenset({hour}), frozenset(range(1, 32)))
    dates = [datetime.fromtimestamp(time / 1000, ZoneInfo(zone)).date().isoformat() for time in times]
    assert [each for each in dates if expected[0] <= each <= expected[-1]] == expected
