from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from omniq.errors import ConfigError, SerializationError
from omniq.models.record import TaskBody, TaskSpec
from omniq.queue.options import TaskOptions
from omniq.queue.specs import SpecMaker, check_arguments
from omniq.serialization import get_serializer

JSON = get_serializer("json")
NOW = 1_700_000_000_000


def make(options: TaskOptions, *calls, now: int = NOW, **kwargs) -> list[TaskSpec]:
    ids = [f"task-{i}" for i in range(len(calls))]
    return SpecMaker("shop.send", options, JSON).make(ids, calls, now, **kwargs)


def test_a_specification_is_what_its_constructor_would_make():
    options = TaskOptions(
        queue="mail",
        priority=3,
        max_retries=5,
        timeout_ms=1000,
        result_ttl_ms=2000,
        unique_key="k",
        interval_ms=60_000,
        headers={"tenant": "a"},
    )
    (spec,) = make(options, ((1, "x"), {"y": None}), pinned=True)
    body = TaskBody(
        func="shop.send",
        args=b'[1,"x"]',
        kwargs=b'{"y":null}',
        codec="json",
        headers={"tenant": "a"},
        timeout_ms=1000,
        result_ttl_ms=2000,
    )
    assert spec == TaskSpec(
        id="task-0",
        body=body,
        queue="mail",
        priority=3,
        max_attempts=6,
        unique_key="k",
        interval_ms=60_000,
        pinned=True,
    )


def test_no_field_is_forgotten():
    (spec,) = make(TaskOptions(), ((), {}))
    for record in (spec, spec.body):
        assert {field.name: getattr(record, field.name) for field in attrs.fields(type(record))}


@pytest.mark.parametrize(
    ("options", "eta", "expires_at", "needs_clock"),
    [
        (TaskOptions(), None, None, False),
        (TaskOptions(delay_ms=5000), NOW + 5000, None, True),
        (TaskOptions(expires_in_ms=100), None, NOW + 100, True),
        (TaskOptions(delay_ms=5000, expires_in_ms=100), NOW + 5000, NOW + 5100, True),
        (TaskOptions(eta=datetime(2030, 1, 1, tzinfo=UTC)), 1_893_456_000_000, None, False),
        (
            TaskOptions(eta=datetime(2030, 1, 1, tzinfo=UTC), expires_in_ms=100),
            1_893_456_000_000,
            1_893_456_000_100,
            False,
        ),
    ],
)
def test_times_are_counted_from_the_stores_clock(options, eta, expires_at, needs_clock):
    maker = SpecMaker("f", options, JSON)
    (spec,) = maker.make(["a"], [((), {})], NOW)
    assert (spec.eta, spec.expires_at, maker.needs_clock) == (eta, expires_at, needs_clock)


@pytest.mark.parametrize(
    ("eta", "millis", "headers"),
    [
        (datetime(2030, 1, 1, 0, 0, 0, 5000, tzinfo=UTC), 1_893_456_000_005, {}),
        (
            datetime(2030, 1, 1, 0, 0, 0, 5001, tzinfo=UTC),
            1_893_456_000_006,
            {"omniq-eta": "2030-01-01T00:00:00.005001+00:00"},
        ),
        (
            datetime(2030, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            1_893_456_000_000,
            {"omniq-eta": "2030-01-01T01:00:00+01:00"},
        ),
    ],
)
def test_an_eta_that_milliseconds_cannot_hold_is_kept_beside(eta, millis, headers):
    (spec,) = make(TaskOptions(eta=eta), ((), {}))
    assert (spec.eta, spec.body.headers) == (millis, headers)


def test_a_key_is_made_from_the_arguments():
    options = TaskOptions(unique_key=lambda a, *, b: f"{a}-{b}")
    assert [spec.unique_key for spec in make(options, ((1,), {"b": 2}), ((3,), {"b": 4}))] == ["1-2", "3-4"]


def test_a_function_that_makes_no_key_is_refused():
    with pytest.raises(ConfigError, match=r"unique_key: .* made None for shop.send, which is not a key"):
        make(TaskOptions(unique_key=lambda: None), ((), {}))


def test_an_argument_that_cannot_be_encoded_is_named():
    with pytest.raises(SerializationError, match=r"shop.send: keyword argument 'when'"):
        make(TaskOptions(), ((1,), {"when": object()}))
    with pytest.raises(SerializationError, match=r"shop.send: argument 2"):
        make(TaskOptions(), ((1, object()), {}))


def test_arguments_may_be_lists_and_mappings_of_any_kind():
    class Odd(dict):
        pass

    specs = make(TaskOptions(), ([1], Odd(a=1)), ((), {}))
    assert [(spec.body.args, spec.body.kwargs) for spec in specs] == [(b"[1]", b'{"a":1}'), (b"[]", b"{}")]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ("abc", None, r"args: 'abc' is not a list or tuple .* write \(value,\)"),
        (5, None, r"args: 5 is not a list or tuple"),
        ({"a": 1}, None, r"args: .* is not a list or tuple"),
        ((), [1], r"kwargs: \[1\] is not a mapping"),
        ((), {1: 2}, r"kwargs: \{1: 2\} is not a mapping"),
    ],
)
def test_what_are_no_arguments_is_refused(args, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        check_arguments(args, kwargs)


def test_arguments_are_returned_as_they_are():
    assert check_arguments([1], None) == ([1], {})
    assert check_arguments((1,), {"a": 2}) == ((1,), {"a": 2})
