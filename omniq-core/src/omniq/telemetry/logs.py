"""The task's fields on log records, and records as lines of JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from omniq.telemetry.subject import log_subject

__all__ = ["JsonFormatter", "TaskFields", "setup_logging"]

_FIELDS = ("task_id", "queue", "attempt", "func", "worker")
_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s%(task)s"


class TaskFields(logging.Filter):
    """Adds `task_id`, `queue`, `attempt` and `func` of the running task to records that do not have them.

    Put it on a handler, because filters of loggers do not see the records of the loggers below them. It drops nothing.
    `record.task` becomes ` [task <id> attempt <n>]` for formats that show it, or an empty text.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields and let the record pass."""
        subject = log_subject.get()
        if subject is not None:
            for name, value in subject.log_fields().items():
                if not hasattr(record, name):
                    setattr(record, name, value)
        task_id = getattr(record, "task_id", None)
        attempt = getattr(record, "attempt", None)
        record.task = "" if task_id is None else f" [task {task_id}" + (f" attempt {attempt}]" if attempt else "]")
        return True


class JsonFormatter(logging.Formatter):
    """Writes each record as one line of JSON, with the task's fields where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((name, getattr(record, name)) for name in _FIELDS if hasattr(record, name))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, ensure_ascii=False, default=str)


def setup_logging(level: str | int = "INFO", *, as_json: bool = False, stream: TextIO | None = None) -> logging.Handler:
    """Send the process's log records to a stream, with the task's fields; for processes that OmniQ owns.

    Libraries never call it: an application that has set up logging itself adds `TaskFields` to its own handlers.
    Calling it again replaces the handler of the call before.

    Args:
        level: The lowest level that is written.
        as_json: One JSON object a line instead of text.
        stream: Where to; the default is standard error.

    Returns:
        The handler that was installed.
    """
    root = logging.getLogger()
    for known in root.handlers[:]:
        if isinstance(known, _OwnHandler):
            root.removeHandler(known)
    handler = _OwnHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(_TEXT))
    handler.addFilter(TaskFields())
    root.addHandler(handler)
    root.setLevel(level)
    return handler


class _OwnHandler(logging.StreamHandler[TextIO]):
    """The handler that `setup_logging` installed, so that it can be found again."""
