from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from omniq.errors import ConfigError
from omniq.queue.options import TaskOptions, parse_options

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {}),
        ({"queue": None, "timeout": None, "eta": None}, {}),
        ({"queue": "mail"}, {"queue": "mail"}),
        ({"priority": 9}, {"priority": 9}),
        ({"max_retries": 0}, {"max_retries": 0}),
        ({"timeout": 1.5}, {"timeout_ms": 1500}),
        ({"timeout": timedelta(minutes=1)}, {"timeout_ms": 60_000}),
        ({"timeout": "never"}, {"timeout_ms": None}),
        ({"result_ttl": 0}, {"result_ttl_ms": 0}),
        ({"result_ttl": "7d"}, {"result_ttl_ms": 7 * 86_400_000}),
        ({"result_ttl": "never"}, {"result_ttl_ms": None}),
        ({"expires_in": 0.0001}, {"expires_in_ms": 1}),
        ({"delay": 2}, {"delay_ms": 2000, "eta": None}),
        ({"delay": 0}, {"delay_ms": 0, "eta": None}),
        ({"eta": NOON}, {"eta": NOON, "delay_ms": None}),
        ({"interval": timedelta(seconds=1.5)}, {"interval_ms": 1500}),
        ({"unique_key": "nightly"}, {"unique_key": "nightly"}),
        ({"unique_key": str}, {"unique_key": str}),
        ({"headers": {"tenant": "a"}}, {"headers": {"tenant": "a"}}),
        ({"task_id": "order-7"}, {"task_id": "order-7"}),
    ],
)
def test_options_are_converted(given, fields):
    assert parse_options(**given) == fields


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"queue": ""}, r"queue: '' is not the name of a queue"),
        ({"priority": 10}, r"priority: 10 is not a priority. Give an integer from 0 to 9; 9 runs first"),
        ({"priority": True}, r"priority: True is not a priority"),
        ({"priority": "high"}, r"priority: 'high' is not a priority"),
        ({"max_retries": -1}, r"max_retries: -1 is not a number of retries"),
        ({"timeout": 0}, r"timeout: 0 is no time at all"),
        ({"timeout": -5}, r"timeout: -5 is negative"),
        ({"timeout": float("nan")}, r"timeout: nan is negative or no number"),
        ({"timeout": "soon"}, r"timeout: 'soon' is not a duration"),
        ({"expires_in": 0}, r"expires_in: 0 is no time at all"),
        ({"delay": "never"}, r"delay: 'never' would never start"),
        ({"eta": NOON.replace(tzinfo=None)}, r"eta: datetime.datetime\(2026, 1, 2, 12, 0\) has no time zone"),
        ({"eta": 5}, r"eta: 5 is not a datetime. Give one with a time zone, or delay="),
        ({"interval": 60}, r"interval: 60 could be seconds or milliseconds. .* timedelta\(seconds=60\)"),
        ({"interval": "1h"}, r"interval: '1h' is not an interval. Give a datetime.timedelta"),
        ({"interval": timedelta(0)}, r"interval: .* is no time at all"),
        ({"interval": timedelta(seconds=-1)}, r"interval: .* is negative"),
        ({"unique_key": ""}, r"unique_key: '' is not a key"),
        ({"unique_key": 7}, r"unique_key: 7 is not a key"),
        ({"headers": {"a": 1}}, r"headers: .* must be a mapping of text to text"),
        ({"headers": {"omniq-eta": "x"}}, r"headers: 'omniq-eta' begins with 'omniq-', which is OmniQ's own"),
        ({"task_id": ""}, r"task_id: '' is not an id"),
        ({"delay": 5, "eta": NOON}, r"delay: 5 is given beside eta=.*Give one of the two"),
        ({"prority": 5}, r"prority: unknown key. Did you mean 'priority'\?"),
    ],
)
def test_what_is_invalid_is_refused_with_the_remedy(given, message):
    with pytest.raises(ConfigError, match=message):
        parse_options(**given)


def test_all_faults_are_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_options(priority=11, timeout=-1, interval=5)
    assert all(name in str(caught.value) for name in ("priority: 11", "timeout: -1", "interval: 5"))


def test_a_call_overrules_the_task():
    task = TaskOptions(queue="mail", delay_ms=5000, timeout_ms=1000)
    call = task.merged(parse_options(eta=NOON, timeout="never"))
    assert call == TaskOptions(queue="mail", eta=NOON, timeout_ms=None)


def test_no_options_change_nothing():
    task = TaskOptions(queue="mail")
    assert task.merged({}) is task


def test_every_zone_is_accepted():
    for zone in (UTC, timezone(timedelta(hours=5, minutes=45)), ZoneInfo("Europe/Berlin")):
        eta = datetime(2026, 1, 2, 12, tzinfo=zone)
        assert parse_options(eta=eta)["eta"] is eta
