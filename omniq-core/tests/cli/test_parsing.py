from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from omniq.cli.parsing import duration, json_value, moment, names_of, pairs_of, values_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", timedelta(seconds=90)),
        ("1.5", timedelta(seconds=1.5)),
        ("250ms", timedelta(milliseconds=250)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
    ],
)
def test_duration(text, expected):
    assert expected == duration(text)


@pytest.mark.parametrize("text", ["soon", "-5", "5 parsecs", "never", ""])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(click.BadParameter):
        duration(text)


def test_a_moment_with_a_zone_is_taken_as_it_is():
    zone = timezone(timedelta(hours=2))
    assert datetime(2026, 11, 30, 8, tzinfo=zone) == moment("2026-11-30T08:00+02:00")
    assert moment("2026-11-30T08:00+02:00").tzinfo is UTC


def test_a_moment_without_a_zone_is_meant_in_the_zone_of_the_machine():
    assert datetime(2026, 11, 30, 8).astimezone() == moment("2026-11-30T08:00")


@pytest.mark.parametrize(("text", "seconds"), [("-1h", -3600), ("15m", 900), ("+15m", 900), ("0", 0)])
def test_a_moment_may_be_a_distance_from_now(text, seconds):
    before = datetime.now(UTC)
    found = moment(text)
    after = datetime.now(UTC)
    assert before + timedelta(seconds=seconds) <= found <= after + timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "never"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(click.BadParameter, match="is not a time"):
        moment(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", 3), ('"3"', "3"), ("hello", "hello"), ("[1, 2]", [1, 2]), ("null", None), ("true", True), ("", "")],
)
def test_json_or_else_text(text, expected):
    assert expected == json_value(text)


def test_pairs():
    assert pairs_of(["a=1", "b=x=y", "c="], "--header") == {"a": "1", "b": "x=y", "c": ""}
    assert values_of(["a=1", "b=x"], "--kwarg") == {"a": 1, "b": "x"}


@pytest.mark.parametrize("pairs", [["a"], ["=1"], ["a=1", "a=2"]])
def test_what_is_no_pair_is_refused(pairs):
    with pytest.raises(click.UsageError, match="--kwarg"):
        values_of(pairs, "--kwarg")


def test_names_may_stand_together_and_count_once():
    assert names_of(["a,b", " c ", "a", ",,"]) == ("a", "b", "c")
