from __future__ import annotations

import io
import json
import logging

import pytest

from omniq.telemetry import JsonFormatter, TaskFields, log_subject, setup_logging


class Subject:
    def log_fields(self):
        return {"task_id": "task-1", "queue": "mail", "attempt": 2, "func": "shop.send"}


@pytest.fixture
def logger():
    logger = logging.getLogger("test_logs")
    logger.propagate = False
    logger.setLevel("INFO")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(TaskFields())
    logger.addHandler(handler)
    yield logger, handler, stream
    logger.removeHandler(handler)


@pytest.fixture
def running():
    token = log_subject.set(Subject())
    yield
    log_subject.reset(token)


@pytest.mark.usefixtures("running")
def test_records_of_a_task_carry_its_fields(logger):
    logger, handler, stream = logger
    handler.setFormatter(JsonFormatter())
    logger.warning("sent to %s", "Ada")
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "test_logs",
        "message": "sent to Ada",
        "task_id": "task-1",
        "queue": "mail",
        "attempt": 2,
        "func": "shop.send",
    }


def test_records_outside_of_tasks_have_none(logger):
    logger, handler, stream = logger
    handler.setFormatter(JsonFormatter())
    logger.info("hello")
    assert json.loads(stream.getvalue()).keys() == {"time", "level", "logger", "message"}


@pytest.mark.usefixtures("running")
def test_fields_that_a_record_brings_win(logger):
    logger, handler, stream = logger
    handler.setFormatter(JsonFormatter())
    logger.info("about another", extra={"task_id": "task-9"})
    assert json.loads(stream.getvalue())["task_id"] == "task-9"


def test_an_exception_is_part_of_the_line(logger):
    logger, handler, stream = logger
    handler.setFormatter(JsonFormatter())
    try:
        int("boom")
    except ValueError:
        logger.exception("failed")
    (text,) = stream.getvalue().splitlines()
    assert json.loads(text)["exception"].endswith("with base 10: 'boom'")


@pytest.mark.usefixtures("running")
def test_text_shows_the_task():
    stream = io.StringIO()
    level = logging.getLogger().level
    handler = setup_logging("INFO", stream=stream)
    try:
        logging.getLogger("somewhere").info("hello")
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(level)
    assert stream.getvalue().endswith("INFO    somewhere: hello [task task-1 attempt 2]\n")


def test_setting_up_again_replaces_the_handler():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        setup_logging("INFO", stream=io.StringIO())
        second = setup_logging("DEBUG", as_json=True, stream=io.StringIO())
        assert [handler for handler in root.handlers if handler not in before] == [second]
        assert root.level == logging.DEBUG
    finally:
        root.removeHandler(second)
        root.setLevel(level)
    assert root.handlers == before
