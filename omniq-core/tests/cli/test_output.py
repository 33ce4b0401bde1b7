from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from omniq.cli.output import Output, age, plain, to_json
from omniq.models.status import TaskStatus


@attrs.frozen
class Point:
    x: int
    when: datetime


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (TaskStatus.FAILED, "FAILED"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))), "2026-01-02T02:00:00+00:00"),
        (timedelta(minutes=1), 60.0),
        (b"a\xff", "a\\xff"),
        ({1: (1, 2)}, {"1": [1, 2]}),
        (Point(1, datetime(2026, 1, 2, tzinfo=UTC)), {"x": 1, "when": "2026-01-02T00:00:00+00:00"}),
    ],
)
def test_json_values(value, expected):
    assert expected == to_json(value)
    assert type(expected) is type(to_json(value))


def test_control_characters_of_a_tasks_data_do_not_reach_the_terminal():
    assert plain("\x1b[31mred\x07") == "\\x1b[31mred\\x07"
    assert plain("two\nlines\tand a tab") == "two\nlines\tand a tab"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.25, "250 ms"),
        (1.04, "1.0 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (86_400, "1 d"),
        (90_061, "1 d 1 h"),
    ],
)
def test_age(seconds, expected):
    assert expected == age(seconds)


def test_a_table_without_a_terminal_is_not_cut(capsys):
    name = "x" * 120
    Output(as_json=False).table(("NAME", ">COUNT", "THERE"), [(name, 1234, True), ("[red]y[/red]", None, False)])
    lines = capsys.readouterr().out.splitlines()
    assert [["NAME", "COUNT", "THERE"], [name, "1,234", "yes"], ["[red]y[/red]", "-", "no"]] == [
        line.split() for line in lines
    ]


def test_nothing_is_said_beside_json(capsys):
    Output(as_json=True).say("hello")
    assert capsys.readouterr().out == ""
