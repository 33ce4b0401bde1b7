from __future__ import annotations

from datetime import UTC, datetime

import pytest

from omniq.errors import ConfigError
from omniq.models.record import TaskFilter
from omniq.models.status import TaskStatus, TaskView
from omniq.queue.filters import parse_filter

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MILLIS = 1_767_355_200_000


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, TaskFilter()),
        ({"status": None, "queue": None}, TaskFilter()),
        ({"status": "failed"}, TaskFilter(states=frozenset({TaskStatus.FAILED}))),
        ({"status": TaskView.SCHEDULED}, TaskFilter(states=frozenset({TaskView.SCHEDULED}))),
        ({"status": ["PENDING", "stale"]}, TaskFilter(states=frozenset({TaskStatus.PENDING, TaskView.STALE}))),
        ({"queue": "mail"}, TaskFilter(queues=frozenset({"mail"}))),
        ({"queue": {"mail", "web"}}, TaskFilter(queues=frozenset({"mail", "web"}))),
        ({"func": ("a.b", "c.d")}, TaskFilter(funcs=frozenset({"a.b", "c.d"}))),
        ({"unique_key": "k"}, TaskFilter(unique_key="k")),
        ({"series_id": "s"}, TaskFilter(series_id="s")),
        ({"since": NOON}, TaskFilter(enqueued_from=MILLIS)),
        ({"until": NOON}, TaskFilter(enqueued_before=MILLIS)),
    ],
)
def test_conditions_become_a_filter(conditions, expected):
    assert parse_filter(**conditions) == expected


def test_a_task_stands_for_its_name(memory):
    @memory.task(name="shop.send")
    def send() -> None: ...

    assert parse_filter(func=send) == TaskFilter(funcs=frozenset({"shop.send"}))
    assert parse_filter(func=[send, "other"]) == TaskFilter(funcs=frozenset({"shop.send", "other"}))


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"status": "faild"}, r"status: 'faild' is unknown. Did you mean FAILED\? Known are PENDING, "),
        ({"status": []}, r"status: \[\] names nothing"),
        ({"status": 5}, r"status: 5 names nothing"),
        ({"queue": ""}, r"queue: '' names nothing"),
        ({"queue": [1]}, r"queue: \[1\] names nothing"),
        ({"unique_key": ""}, r"unique_key: .* names nothing"),
        ({"since": NOON.replace(tzinfo=None)}, r"since: .* has no time zone"),
        ({"until": 5}, r"until: 5 is not a datetime"),
        ({"queu": "mail"}, r"queu: unknown key. Did you mean 'queue'\?"),
    ],
)
def test_what_is_invalid_is_refused(conditions, message):
    with pytest.raises(ConfigError, match=message):
        parse_filter(**conditions)


def test_all_faults_are_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_filter(status="nope", queue="")
    assert all(part in str(caught.value) for part in ("status: 'nope'", "queue: ''"))
