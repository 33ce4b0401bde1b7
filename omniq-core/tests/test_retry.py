from __future__ import annotations

import asyncio
from datetime import timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniq.errors import ConfigError, TaskNotFoundError
from omniq.retry import DoNotRetry, RetryLater, RetryPolicy, Snooze


def test_delays_double_up_to_the_limit():
    policy = RetryPolicy(jitter=0)
    assert [policy.delay_ms(n, 0.5) for n in (1, 2, 3)] == [1000, 2000, 4000]
    assert policy.delay_ms(10, 0.5) == 300_000
    assert policy.delay_ms(100_000, 0.5) == 300_000
    assert RetryPolicy(base_delay=0).delay_ms(100_000, 0.5) == 0


@given(st.integers(1, 3000), st.floats(0, 1))
def test_jitter_takes_off_at_most_its_fraction(attempt, rand):
    policy = RetryPolicy(jitter=0.25)
    longest = RetryPolicy(jitter=0).delay_ms(attempt, 0)
    assert 0.75 * longest <= policy.delay_ms(attempt, rand) <= longest <= 300_000


def test_explicit_delays_are_used_as_they_are():
    policy = RetryPolicy(delays=[1, timedelta(minutes=1), 0.5])
    assert policy.max_retries == 3
    assert [policy.delay_ms(n, 0.9) for n in (1, 2, 3, 4)] == [1000, 60_000, 500, 500]
    assert RetryPolicy(delays=[1], max_retries=9).max_retries == 9


def test_no_retries():
    assert RetryPolicy.none().max_retries == 0


def test_which_exceptions():
    policy = RetryPolicy(retry_on=(OSError, "omniq.errors.TaskError"), never_on=FileNotFoundError)
    assert policy.wants_retry(ConnectionResetError())
    assert policy.wants_retry(TaskNotFoundError("x"))
    assert not policy.wants_retry(FileNotFoundError())
    assert not policy.wants_retry(ValueError())
    by_name = RetryPolicy(retry_on="LookupError", never_on=["builtins.KeyError"])
    assert by_name.wants_retry(IndexError())
    assert not by_name.wants_retry(KeyError())


def test_the_default_leaves_signals_and_cancellation_alone():
    policy = RetryPolicy()
    assert policy.wants_retry(TimeoutError())
    for exc in (KeyboardInterrupt(), SystemExit(), asyncio.CancelledError()):
        assert not policy.wants_retry(exc)


def test_control_exceptions():
    policy = RetryPolicy(never_on=Exception)
    assert policy.wants_retry(RetryLater(5))
    assert not RetryPolicy().wants_retry(DoNotRetry("no"))
    assert not RetryPolicy().wants_retry(Snooze(1))
    assert RetryLater().delay_ms is None
    assert RetryLater(timedelta(seconds=1.5), "busy").delay_ms == 1500
    assert str(RetryLater(1, "busy")) == RetryLater(1, "busy").reason == "busy"
    assert Snooze(0.0001).delay_ms == 1
    for delay in (-1, "5", None, float("nan"), True, 1e12):
        with pytest.raises(ConfigError, match="Snooze"):
            Snooze(delay)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"max_retries": True}, "max_retries"),
        ({"base_delay": -1}, "base_delay"),
        ({"base_delay": "1"}, "base_delay"),
        ({"base_delay": 400}, "max_delay"),
        ({"max_delay": float("inf")}, "max_delay"),
        ({"factor": 0.5}, "factor"),
        ({"factor": float("nan")}, "factor"),
        ({"jitter": 1.5}, "jitter"),
        ({"jitter": "x"}, "jitter"),
        ({"retry_on": (int,)}, "retry_on"),
        ({"never_on": "not a name"}, "never_on"),
        ({"delays": []}, "delays"),
        ({"delays": 5}, "delays"),
        ({"delays": "15"}, "delays"),
        ({"delays": [1, -1]}, r"delays\[1\]"),
    ],
)
def test_invalid_options_are_named(options, named):
    with pytest.raises(ConfigError, match=named):
        RetryPolicy(**options)


def test_policies_are_values():
    assert RetryPolicy(retry_on=ValueError) == RetryPolicy(retry_on=(ValueError,))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        RetryPolicy().max_retries = 4
