from __future__ import annotations

import pytest

from omniq.errors import SerializationError
from omniq.models.error import ErrorInfo


class HostileError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def caught(exc: BaseException) -> BaseException:
    def user_code():
        raise exc

    def omniq_code():
        user_code()

    try:
        omniq_code()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError


def test_an_exception_is_described():
    info = ErrorInfo.from_exception(caught(ValueError("boom")))
    assert (info.type, info.message) == ("ValueError", "boom")
    assert info.traceback.startswith("Traceback")
    assert info.traceback.endswith("ValueError: boom\n")
    assert info.summary() == "ValueError: boom"


def test_frames_of_omniq_are_dropped_but_never_all():
    error = caught(ValueError("boom"))
    assert "in omniq_code" in ErrorInfo.from_exception(error).traceback
    text = ErrorInfo.from_exception(error, drop_frames=2).traceback
    assert "in omniq_code" not in text
    assert "in user_code" in text
    assert "in user_code" in ErrorInfo.from_exception(error, drop_frames=50).traceback


def test_causes_are_kept():
    try:
        try:
            {}["a"]
        except KeyError as error:
            raise ValueError("b") from error
    except ValueError as error:
        info = ErrorInfo.from_exception(error)
    assert "KeyError: 'a'" in info.traceback
    assert "direct cause" in info.traceback


@pytest.mark.parametrize("text", ["x" * 100_000, "☕" * 100_000, "\udcff\0" * 50_000])
def test_long_texts_are_cut(text):
    info = ErrorInfo.from_exception(caught(ValueError(text)))
    assert len(info.message.encode()) <= 4096
    assert info.message.endswith("...")
    assert len(info.traceback.encode()) <= 16_384
    assert "bytes left out" in info.traceback
    assert info.traceback.startswith("Traceback")
    assert len(info.summary()) <= 500
    assert "\0" not in info.message + info.traceback
    assert info == ErrorInfo.from_json(info.to_json())


@pytest.mark.parametrize("limit", [0, 1, 30, 100])
def test_small_limits_hold(limit):
    assert len(ErrorInfo.from_exception(caught(ValueError("x")), limit=limit).traceback.encode()) <= max(limit, 0)


def test_a_hostile_exception_is_described():
    info = ErrorInfo.from_exception(caught(HostileError()))
    assert info.type.endswith("HostileError")
    assert "raised RuntimeError" in info.message
    assert "user_code" in info.traceback


def test_an_exception_that_was_never_raised_and_a_group():
    assert ErrorInfo.from_exception(ValueError("x")).traceback == "ValueError: x\n"
    assert "KeyError" in ErrorInfo.from_exception(ExceptionGroup("g", [KeyError("a")])).traceback


def test_a_reason_without_code():
    assert ErrorInfo(type="expired").summary() == "expired"
    assert ErrorInfo(type="a", message="two\n lines").summary() == "a: two lines"


def test_json_of_newer_versions_is_read_and_other_json_refused():
    assert ErrorInfo(type="X") == ErrorInfo.from_json(b'{"type":"X","later":1}')
    for text in ("", "[]", "{}", '{"type":5}', '{"type":"x","message":[]}', "null"):
        with pytest.raises(SerializationError):
            ErrorInfo.from_json(text)
