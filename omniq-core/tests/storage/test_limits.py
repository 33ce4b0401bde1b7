from __future__ import annotations

import attrs
import pytest

from omniq.errors import ConfigError, LimitExceededError
from omniq.models.record import TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TaskStatus
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq.storage.limits import check_results, check_schedule, check_specs

LIMITS = Capabilities(durability=Durability.NONE, scope=Scope.PROCESS, max_id_bytes=40, max_payload_bytes=100)
BODY = TaskBody(func="m.f")
GOOD = TaskSpec(id="t", body=BODY)


def spec(**options):
    return attrs.evolve(GOOD, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"id": "x" * 40},
        {"id": "ü" * 20},
        {"id": "a b\n\t"},
        {"queue": "q" * 40},
        {"unique_key": "k" * 40},
        {"priority": 9},
        {"max_attempts": 1},
        {"eta": 10, "expires_at": 11},
        {"expires_at": 0},
        {"interval_ms": 1},
        {"body": TaskBody(func="m.f", args=b"x" * 60, kwargs=b"y" * 30, headers={"abc": "defghij"})},
    ],
)
def test_what_is_within_the_limits_passes(options):
    check_specs([GOOD, spec(**options), GOOD], LIMITS)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"id": "x" * 41}, "task id 'x{41}' has 41 bytes in UTF-8; this store takes at most 40"),
        ({"id": "ü" * 21}, "42 bytes"),
        ({"id": "x" * 200}, r"task id 'x{77}\.\.\.' has 200 bytes"),
        ({"queue": "q" * 41}, "queue 'q+' has 41 bytes"),
        ({"unique_key": "k" * 41}, "unique_key 'k+' has 41 bytes"),
        (
            {"body": TaskBody(func="m.f", args=b"x" * 50, kwargs=b"y" * 51)},
            "task 't': its arguments.*101 bytes.*most 100",
        ),
        ({"body": TaskBody(func="m.f", args=b"x" * 90, headers={"über": "sixx"})}, "101 bytes"),
        ({"body": TaskBody(func="m.f", headers={"a": "ü" * 50})}, "105 bytes"),
    ],
)
def test_what_is_too_long_is_refused(options, text):
    options.setdefault("body", attrs.evolve(BODY, args=b"", kwargs=b""))
    with pytest.raises(LimitExceededError, match=text):
        check_specs([GOOD, spec(**options)], LIMITS)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"id": ""}, "task id is empty"),
        ({"id": "a\0b"}, "NUL"),
        ({"id": "\ud800"}, "lone surrogate"),
        ({"queue": ""}, "queue is empty"),
        ({"queue": "\ud800"}, "lone surrogate"),
        ({"unique_key": ""}, "unique_key is empty"),
        ({"unique_key": "\0"}, "NUL"),
        ({"priority": 10}, "priority 10 is not an integer from 0 to 9"),
        ({"priority": -1}, "priority -1"),
        ({"priority": 1.0}, "priority 1.0"),
        ({"priority": False}, "priority False"),
        ({"max_attempts": 0}, "max_attempts 0 is below 1"),
        ({"interval_ms": 0}, "interval 0 ms is not positive"),
        ({"eta": 10, "expires_at": 10}, "expires_at 10 is not after eta 10"),
        ({"body": TaskBody(func="m.f", headers={"a": "\ud800"})}, "headers have a lone surrogate"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        check_specs([GOOD, spec(**options)], LIMITS)


def test_every_task_of_a_batch_is_looked_at():
    batch = [spec(id=f"t{number}") for number in range(50)]
    for number in range(50):
        for fault in ({"priority": 10}, {"queue": "q" * 41}, {"body": TaskBody(func="m.f", args=b"x" * 101)}):
            with pytest.raises(ValueError, match=f"t{number}'|q{{41}}"):
                check_specs([*batch[:number], attrs.evolve(batch[number], **fault), *batch[number + 1 :]], LIMITS)


def test_results_are_measured():
    fits = ResultRecord(id="t", seq=1, epoch=1, status=TaskStatus.COMPLETED, value=b"x" * 100)
    check_results([fits, None, attrs.evolve(fits, value=None)], LIMITS)
    with pytest.raises(LimitExceededError, match="task 'u': its result has 101 bytes; this store takes at most 100"):
        check_results([fits, attrs.evolve(fits, id="u", value=b"x" * 101)], LIMITS)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"id": "s" * 41}, LimitExceededError, "schedule id"),
        ({"id": ""}, ConfigError, "schedule id is empty"),
        ({"queue": "q" * 41}, LimitExceededError, "queue"),
        ({"priority": 10}, ConfigError, "schedule 's': priority 10"),
        ({"interval_ms": 0}, ConfigError, "interval 0 ms"),
        ({"body": TaskBody(func="m.f", args=b"x" * 101)}, LimitExceededError, "schedule 's': its arguments"),
    ],
)
def test_schedules_are_held_to_the_same_limits(options, error, text):
    good = Schedule(id="s", kind=ScheduleKind.INTERVAL, body=BODY, interval_ms=5)
    check_schedule(good, LIMITS)
    with pytest.raises(error, match=text):
        check_schedule(attrs.evolve(good, **options), LIMITS)
