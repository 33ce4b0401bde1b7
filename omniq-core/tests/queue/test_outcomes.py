from __future__ import annotations

import attrs
import pytest

from omniq.errors import (
    ResultExpiredError,
    SerializationError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
)
from omniq.models.error import ErrorInfo
from omniq.models.outcome import ResultState
from omniq.models.record import TaskBody, TaskRecord, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.queue.outcomes import outcome_of, value_of
from omniq.serialization import get_serializer
from omniq.storage.transitions import create

NOW = 1_700_000_000_000
COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED
PENDING, RUNNING = TaskStatus.PENDING, TaskStatus.RUNNING


def decode(codec, data):
    return get_serializer(codec).loads(data)


def head(state: TaskStatus, *, epoch: int = 1, **changes) -> TaskRecord:
    made = create(TaskSpec(id="t", body=TaskBody(func="f")), 7, NOW)
    return attrs.evolve(made, state=state, epoch=epoch, **changes)


def stored(status: TaskStatus = COMPLETED, *, seq: int = 7, epoch: int = 1, **changes) -> ResultRecord:
    values = {"value": b"42"} if status is COMPLETED else {"error": ErrorInfo(type="ValueError").to_json()}
    return ResultRecord(id="t", seq=seq, epoch=epoch, status=status, **{**values, **changes})


def outcome(record: TaskRecord | None, result: ResultRecord | None, now: int = NOW):
    return outcome_of("t", record, result, now=now, decode=decode)


@pytest.mark.parametrize(
    ("record", "result", "state", "status", "value"),
    [
        (head(PENDING, epoch=0), None, "pending", PENDING, None),
        (head(RUNNING), None, "pending", RUNNING, None),
        (head(RUNNING), stored(), "provisional", COMPLETED, 42),
        (head(RUNNING, epoch=2), stored(), "pending", RUNNING, None),
        (head(PENDING), stored(), "pending", PENDING, None),
        (head(COMPLETED), stored(), "final", COMPLETED, 42),
        (head(COMPLETED), None, "expired", COMPLETED, None),
        (head(COMPLETED, epoch=2), stored(), "expired", COMPLETED, None),
        (head(COMPLETED), stored(seq=6, epoch=9), "expired", COMPLETED, None),
        (None, stored(), "final", COMPLETED, 42),
        (head(FAILED), stored(FAILED), "final", FAILED, None),
        (head(FAILED, epoch=2, error="lease expired"), stored(), "final", FAILED, None),
        (head(CANCELLED), None, "final", CANCELLED, None),
        (head(PENDING, epoch=0, expires_at=NOW), None, "final", FAILED, None),
        (head(PENDING, epoch=0, expires_at=NOW + 1), None, "pending", PENDING, None),
    ],
)
def test_an_outcome_is_final_only_if_the_head_ended_in_the_run_that_stored_it(record, result, state, status, value):
    found = outcome(record, result)
    assert (found.state, found.status, found.value) == (ResultState(state), status, value)
    assert found.is_final is (state == "final")


def test_an_unknown_task_is_told_with_what_may_have_happened():
    with pytest.raises(TaskNotFoundError, match=r"No task has the id 't'.*task_retention") as caught:
        outcome(None, None)
    assert caught.value.task_id == "t"


def test_times_of_the_outcome():
    found = outcome(head(COMPLETED), stored(stored_at=NOW, expires_at=NOW + 1000))
    assert (found.finished_at.timestamp(), found.expires_at.timestamp()) == (NOW / 1000, NOW / 1000 + 1)
    ended = outcome(head(CANCELLED, finished_at=NOW), None)
    assert ended.finished_at.timestamp() == NOW / 1000


def test_a_value_that_cannot_be_decoded_raises():
    with pytest.raises(SerializationError):
        outcome(head(COMPLETED), stored(value=b"\xff"))


def test_the_value_of_a_completed_task():
    assert value_of(outcome(head(COMPLETED), stored())) == 42
    assert value_of(outcome(head(COMPLETED), stored(value=b"null"))) is None


def test_a_failed_task_raises_with_the_remote_traceback():
    error = ErrorInfo(type="shop.StockError", message="sold out", traceback="Traceback: line 5\n")
    with pytest.raises(TaskFailedError) as caught:
        value_of(outcome(head(FAILED), stored(FAILED, error=error.to_json())))
    raised = caught.value
    assert (raised.task_id, raised.error_type, raised.error_message) == ("t", "shop.StockError", "sold out")
    assert str(raised) == ("Task t failed: shop.StockError: sold out\n\nTraceback in the worker:\nTraceback: line 5\n")


def test_a_task_that_failed_without_a_run_raises_with_the_reason():
    with pytest.raises(TaskFailedError, match=r"^Task t failed: lease expired$") as caught:
        value_of(outcome(head(FAILED, error="lease expired"), None))
    assert (caught.value.error_type, caught.value.traceback) == ("lease expired", "")
    with pytest.raises(TaskFailedError, match="expired"):
        value_of(outcome(head(PENDING, expires_at=NOW), None))


def test_a_short_error_is_split_into_type_and_message():
    with pytest.raises(TaskFailedError) as caught:
        value_of(outcome(head(FAILED, error="ValueError: a: b"), None))
    assert (caught.value.error_type, caught.value.error_message) == ("ValueError", "a: b")


def test_a_cancelled_task_raises():
    with pytest.raises(TaskCancelledError, match="Task t was cancelled"):
        value_of(outcome(head(CANCELLED), None))


def test_an_expired_result_raises_with_the_remedy():
    with pytest.raises(ResultExpiredError, match="result_ttl"):
        value_of(outcome(head(COMPLETED), None))
