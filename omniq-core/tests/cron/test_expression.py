"""Cron against a scan of every minute, on the days on which the clocks of a zone jump."""

from __future__ import annotations

import copy
import itertools
import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omniq.clock import from_millis, to_millis
from omniq.cron import Cron
from omniq.errors import ConfigError

MINUTE = timedelta(minutes=1)
TRANSITIONS = {
    "Europe/Berlin": ["2024-03-31", "2024-10-27"],
    "America/New_York": ["2024-03-10", "2024-11-03"],
    "Australia/Lord_Howe": ["2024-04-07", "2024-10-06"],
    "Asia/Kathmandu": ["1986-01-01", "2024-01-01"],
    "Africa/Casablanca": ["2024-03-10", "2024-04-14"],
    "Pacific/Apia": ["2011-12-30", "2011-09-24", "2012-04-01"],
    "America/Sao_Paulo": ["2018-11-04", "2018-02-18"],
    "America/Havana": ["2024-03-10", "2024-11-03"],
    "Pacific/Kwajalein": ["1993-08-21"],
}
DAYS = [(zone, day) for zone, days in TRANSITIONS.items() for day in days]


def brute_force(expression: str, zone: str, start: datetime, end: datetime) -> list[int]:
    """Scan instants: an hourly expression matches what clocks show; another one fires once for each wall time."""
    day = timedelta(days=2)
    first, last = start.replace(tzinfo=None) - day, end.replace(tzinfo=None) + day
    matching = set(itertools.takewhile(lambda wall: wall <= last, CronSim(expression, first)))
    every_hour = set(range(24)) <= CronSim(expression, first).hours
    fires: list[int] = []
    latest = None
    instant = start
    while instant <= end:
        wall = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        if every_hour:
            due = wall in matching
        else:  # what was never shown before: this minute and those that were just skipped
            due = any(time in matching for time in minutes(wall if latest is None else latest + MINUTE, wall))
            latest = wall if latest is None else max(latest, wall)
        if due:
            fires.append(to_millis(instant))
        instant += MINUTE
    return fires


def minutes(start: datetime, end: datetime) -> list[datetime]:
    return [start + MINUTE * i for i in range((end - start) // MINUTE + 1)]


field = st.sampled_from
EXPRESSIONS = st.tuples(
    field(["*", "0", "30", "45", "*/15", "5,45", "10-20", "59", "*/7"]),
    field(["*", "0", "1", "2", "3", "*/2", "1-3", "0,23", "2,3", "23", "*/1"]),
    field(["*", "*", "1", "6-8", "L", "27", "30", "*/2"]),
    field(["*", "*", "1-4", "10", "12", "9-11"]),
    field(["*", "*", "*", "SUN", "0#1", "MON-FRI", "5L"]),
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(DAYS), EXPRESSIONS)
@example(("Europe/Berlin", "2024-03-31"), "30 2 * * *")
@example(("Europe/Berlin", "2024-10-27"), "*/15 2 * * *")
@example(("Pacific/Apia", "2011-12-30"), "*/7 * 30 12 *")
@example(("Pacific/Apia", "2011-12-30"), "0 12 * * *")
@example(("America/Sao_Paulo", "2018-11-04"), "0 0 * * *")
@example(("America/Sao_Paulo", "2018-02-18"), "30 * 17 * *")
def test_next_after_equals_a_scan_of_every_minute(day, expression):
    zone, date = day
    noon = datetime.fromisoformat(date).replace(hour=12, tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(second=0)
    start, end = noon - timedelta(hours=40), noon + timedelta(hours=40)
    try:
        cron = Cron(expression, zone)
    except ConfigError:
        assert "30" in expression
        return
    expected = [
        time for time in brute_force(expression, zone, start - timedelta(hours=26), end) if time > to_millis(start)
    ]
    actual = list(itertools.takewhile(lambda time: time <= to_millis(end), cron.upcoming(to_millis(start), 100_000)))
    assert expected == actual


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*DAYS, ("Africa/Monrovia", "1972-01-07")]), EXPRESSIONS, st.integers(-(10**8), 10**8))
def test_fire_times_grow_from_any_instant(day, expression, offset):
    zone, date = day
    try:
        cron = Cron(expression, zone)
    except ConfigError:
        return
    after = to_millis(datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(zone))) + offset
    first = cron.next_after(after)
    assert first > after
    assert cron.next_after(first - 1) == first
    assert cron.next_after((after + first) // 2) == first


@settings(max_examples=50, deadline=None)
@given(st.timezones(), st.integers(0, 23), st.integers(0, 59), st.integers(1970, 2039))
def test_a_daily_time_fires_once_a_day_in_every_zone(zone, hour, minute, year):
    cron = Cron(f"{minute} {hour} * * *", zone.key)
    start = datetime(year, 1, 1, tzinfo=UTC)
    times = list(cron.upcoming(to_millis(start), 366))
    gaps = {(b - a) / 3_600_000 for a, b in itertools.pairwise(times)}
    assert min(gaps) > 0
    walls = [from_millis(time).astimezone(zone).replace(tzinfo=None) for time in times]
    days = {wall.date() for wall in walls}
    assert len(days) >= 365  # Apia's lost day makes two fires on one date


def at(text: str, zone: str) -> int:
    return to_millis(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("30 2 * * *", "2024-03-31T00:00", ["2024-03-31T03:00", "2024-04-01T02:30"]),
        ("30 2 * * *", "2024-10-27T00:00", ["2024-10-27T02:30", "2024-10-28T02:30"]),
        ("0,30 2,3 * * *", "2024-03-31T00:00", ["2024-03-31T03:00", "2024-03-31T03:30", "2024-04-01T02:00"]),
        ("15 30 2 * * *", "2024-03-31T00:00", ["2024-03-31T03:00", "2024-04-01T02:30:15"]),
        ("*/20 * * * * *", "2024-03-31T01:59:30", ["2024-03-31T01:59:40", "2024-03-31T03:00"]),
        ("@daily", "2024-03-31T00:00", ["2024-04-01T00:00"]),
        ("@hourly", "2024-03-31T01:00", ["2024-03-31T03:00", "2024-03-31T04:00"]),
        ("@Weekly", "2024-03-30T00:00", ["2024-03-31T00:00", "2024-04-07T00:00"]),
        ("@monthly", "2024-03-30T00:00", ["2024-04-01T00:00"]),
        ("@yearly", "2024-03-30T00:00", ["2025-01-01T00:00"]),
        ("0 0 29 2 *", "2096-03-01T00:00", ["2104-02-29T00:00"]),
        ("0 9 LW * *", "2024-06-01T00:00", ["2024-06-28T09:00"]),
    ],
)
def test_examples_in_berlin(expression, after, expected):
    actual = list(Cron(expression, "Europe/Berlin").upcoming(at(after, "Europe/Berlin"), len(expected)))
    assert [at(text, "Europe/Berlin") for text in expected] == actual


def test_every_five_minutes_goes_on_through_both_jumps():
    cron = Cron("*/5 * * * *", "Europe/Berlin")
    for day in ("2024-03-31T00:00", "2024-10-27T00:00"):
        times = list(cron.upcoming(at(day, "Europe/Berlin"), 100))
        assert {300_000} == {b - a for a, b in itertools.pairwise(times)}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("61 * * * *", "bad minute field '61'. Use 0-59"),
        ("* 24 * * *", "bad hour field '24'"),
        ("0 22-4 * * *", "22-23,0-4"),
        ("* * 0 * *", "bad day-of-month field '0'"),
        ("* * * 13 *", "bad month field '13'"),
        ("* * * * 8", "bad day-of-week field '8'"),
        ("* * * * MON-FOO", "bad day-of-week field 'MON-FOO'"),
        ("60 * * * * *", "bad second field '60'"),
        ("* * * *", "has 4 fields instead of five"),
        ("", "has 0 fields"),
        (None, "has 0 fields"),
        ("*/90 * * * *", "the step in the minute field '*/90' is longer"),
        ("*/0 * * * *", "bad minute field"),
        ("* * * * *; rm", "bad month field"),
        ("٣ * * * *", "bad minute field"),
        ("@reboot", "unknown alias"),
        ("@every 5m", "interval schedule"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("0 0 30 2 */2", "never fires"),
        ("1" * 5000 + " * * * *", "cron expression"),
    ],
)
def test_invalid_expressions_name_field_and_fix(expression, message):
    with pytest.raises(ConfigError) as caught:
        Cron(expression)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        ("Europe/Berln", "Did you mean 'Europe/Berlin'"),
        ("europe/berlin", "Did you mean 'Europe/Berlin'"),
        ("Berlin", "Did you mean 'Europe/Berlin'"),
        ("new york", "Did you mean 'America/New_York'"),
        ("Europe", "unknown time zone 'Europe'"),
        ("../etc/passwd", "unknown time zone"),
        ("/etc/localtime", "unknown time zone"),
        ("", "unknown time zone ''"),
        ("Xyzzyx/Qqq", "Use an IANA key"),
        (None, "unknown time zone None"),
    ],
)
def test_unknown_zones_get_a_guess(zone, message):
    with pytest.raises(ConfigError) as caught:
        Cron("* * * * *", zone)
    assert message in str(caught.value)


def test_without_a_time_zone_database_only_utc_works(monkeypatch):
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    assert Cron("0 0 * * *").next_after(0) == 86_400_000
    with pytest.raises(ConfigError, match="pip install tzdata"):
        Cron("0 0 * * *", "No/Such")


def test_a_cron_is_a_value():
    cron = Cron("0 0 * * *", "Europe/Berlin")
    assert cron == Cron("0 0 * * *", "Europe/Berlin") == copy.deepcopy(cron) == pickle.loads(pickle.dumps(cron))
    assert repr(cron) == "Cron(expression='0 0 * * *', zone='Europe/Berlin')"
    assert cron.next_after(0) == cron.next_after(0)
