"""`omniq.models.task.Task`, with the serializers that the models do not know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from omniq.models.record import TaskBody, TaskRecord, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus, TaskView
from omniq.models.task import Task, Undecodable
from omniq.serialization import get_serializer
from omniq.storage.transitions import create

NOW = 1_700_000_000_000
TIME = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def decode(codec, data):
    return get_serializer(codec).loads(data)


def record(**changes) -> TaskRecord:
    body = TaskBody(func="my_module.my_function", args=b"[1,2,3]", kwargs=b'{"option":true}', timeout_ms=60_000)
    made = create(TaskSpec(id="task-abc123", body=body), 7, NOW)
    return attrs.evolve(made, **changes)


def task(now: int = NOW, result: ResultRecord | None = None, **changes) -> Task:
    return Task(record(**changes), now=now, decode=decode, result=result)


def test_the_fields_of_the_user_document_are_there_in_its_order():
    assert list(task())[:16] == [
        "id",
        "func_path",
        "args",
        "kwargs",
        "status",
        "attempts",
        "max_retries",
        "timeout",
        "eta",
        "interval",
        "enqueued_at",
        "started_at",
        "completed_at",
        "failed_at",
        "result",
        "error",
    ]


def test_a_task_reads_as_a_mapping():
    found = task()
    assert found["func_path"] == "my_module.my_function"
    assert found.get("timeout") == 60.0
    assert found.get("max_retries", 99) == 3
    assert found.get("nonsense", 99) == 99
    assert "status" in found
    assert dict(found) == {name: found[name] for name in found.keys()}  # noqa: SIM118 - keys() is what is tested
    assert len(found) == len(list(found))


def test_a_task_reads_as_attributes():
    found = task()
    assert (found.id, found.status, found.args, found.kwargs) == (
        "task-abc123",
        TaskStatus.PENDING,
        [1, 2, 3],
        {"option": True},
    )
    assert all(getattr(found, name) == found[name] for name in found)


@pytest.mark.parametrize("name", ["nonsense", "view", "_record", "keys", 5])
def test_what_is_no_field_is_no_item(name):
    with pytest.raises(KeyError):
        task()[name]


def test_times_are_aware():
    found = task(state=TaskStatus.COMPLETED, started_at=NOW, finished_at=NOW)
    assert (found.enqueued_at, found.ready_at, found.started_at, found.completed_at) == (TIME, TIME, TIME, TIME)
    assert (found.failed_at, found.cancelled_at) == (None, None)


@pytest.mark.parametrize(
    ("state", "name"),
    [(TaskStatus.COMPLETED, "completed_at"), (TaskStatus.FAILED, "failed_at"), (TaskStatus.CANCELLED, "cancelled_at")],
)
def test_the_end_is_told_by_its_kind(state, name):
    found = task(state=state, finished_at=NOW)
    names = ("completed_at", "failed_at", "cancelled_at")
    assert {key: found[key] for key in names} == {**dict.fromkeys(names), name: TIME}
    assert found.finished_at == TIME


@pytest.mark.parametrize(
    ("given", "headers"),
    [
        (datetime(2030, 1, 1, tzinfo=UTC), {}),
        (datetime.fromisoformat("2030-01-01T00:00:00.000001+00:00"), {"omniq-eta": "2030-01-01T00:00:00.000001+00:00"}),
        (datetime.fromisoformat("2030-01-01T01:00:00+01:00"), {"omniq-eta": "2030-01-01T01:00:00+01:00"}),
    ],
)
def test_an_eta_comes_back_as_it_was_given(given, headers):
    millis = -((datetime(1970, 1, 1, tzinfo=UTC) - given) // timedelta(milliseconds=1))
    body = TaskBody(func="f", headers=headers)
    found = task(body=body, eta=millis)
    assert (found.eta, found.eta.utcoffset()) == (given, given.utcoffset())
    assert found.headers == {}


@pytest.mark.parametrize("text", ["2031-01-01T00:00:00+00:00", "nonsense", "2030-01-01T00:00:00"])
def test_the_eta_of_another_run_does_not_count(text):
    found = task(body=TaskBody(func="f", headers={"omniq-eta": text, "tenant": "a"}), eta=1_893_456_000_000)
    assert found.eta == datetime(2030, 1, 1, tzinfo=UTC)
    assert found.headers == {"tenant": "a"}


def test_durations():
    found = task(interval_ms=1500, body=TaskBody(func="f", result_ttl_ms=250))
    assert (found.interval, found.timeout, found.result_ttl) == (timedelta(seconds=1.5), None, 0.25)


def test_what_cannot_be_decoded_is_shown_and_does_not_raise():
    body = TaskBody(func="f", args=b"\xff", kwargs=b"[]", codec="json")
    found = task(body=body)
    (arg,) = found.args
    assert isinstance(arg, Undecodable)
    assert (arg.codec, arg.data) == ("json", b"\xff")
    assert found.kwargs == {"?": []}
    assert dict(found)["args"] == [arg]
    unknown = task(body=TaskBody(func="f", codec="cbor"))
    assert "unknown serializer 'cbor'" in unknown.args[0].reason


def test_the_result_is_decoded():
    result = ResultRecord(id="task-abc123", seq=7, epoch=1, status=TaskStatus.COMPLETED, value=b'{"a":1}')
    assert task(result=result)["result"] == {"a": 1}
    assert task()["result"] is None


def test_arguments_are_decoded_once():
    found = task()
    assert found.args is found.args
    assert found.kwargs is found.kwargs


def test_an_expired_task_is_reported_as_such():
    found = task(now=NOW + 10, expires_at=NOW + 10)
    assert (found.status, found.view, found.is_expired) == (TaskStatus.PENDING, TaskView.EXPIRED, True)
    assert not task(now=NOW + 9, expires_at=NOW + 10).is_expired


def test_tasks_are_equal_at_the_same_version():
    assert task() == task()
    assert task() != task(version=2)
    assert task() != {"id": "task-abc123"}
    assert len({task(), task(version=2), task()}) == 2


def test_the_repr_names_the_task():
    assert repr(task()) == "<Task task-abc123 my_module.my_function READY>"
