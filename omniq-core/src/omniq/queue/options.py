"""The options of an enqueue: how they are given, checked and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, cast

import attrs

from omniq.clock import to_millis
from omniq.models.durations import parse_seconds, seconds_to_millis
from omniq.models.faults import Fault, invalid, unknown_key
from omniq.models.redaction import show
from omniq.models.task import INTERNAL_PREFIX

if TYPE_CHECKING:
    from typing import TypeAlias, Unpack

__all__ = ["BatchArguments", "CallArguments", "Duration", "TaskArguments", "TaskOptions", "UniqueKey", "parse_options"]

_HIGHEST_PRIORITY = 9

Duration: TypeAlias = float | timedelta | str
"""Seconds, a `timedelta`, or text with a unit (`90s`, `15m`, `24h`); `never` stands for no limit."""

UniqueKey: TypeAlias = str | Callable[..., str]
"""A key, or a function that makes it from the task's arguments."""


@attrs.frozen(kw_only=True)
class TaskOptions:
    """What a task is enqueued with; every option has its value.

    Attributes:
        queue: The name of the queue.
        priority: 0 to 9, 9 first.
        max_retries: How often it may be tried again after its first attempt.
        timeout_ms: How long one attempt may run; None is without limit.
        result_ttl_ms: How long the result is kept after the end; None keeps it.
        expires_in_ms: It ends as FAILED("expired") if it could have started and still waits after this time.
        unique_key: At most one live task of a queue has it.
        interval_ms: Set for a task that is repeated: each end enqueues the next run.
        delay_ms: How long after the enqueue it may start.
        eta: When it may start; only one of `delay_ms` and `eta` is set.
        headers: Free-form text by name.
        connection: The caller's database connection or session, in whose transaction the task is enqueued.
        task_id: The id of the one task that is enqueued with these options; None makes a new one.
    """

    queue: str = "default"
    priority: int = 0
    max_retries: int = 3
    timeout_ms: int | None = None
    result_ttl_ms: int | None = None
    expires_in_ms: int | None = None
    unique_key: UniqueKey | None = None
    interval_ms: int | None = None
    delay_ms: int | None = None
    eta: datetime | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    connection: object | None = attrs.field(default=None, eq=False)
    task_id: str | None = None

    def merged(self, given: Mapping[str, Any]) -> TaskOptions:
        """Return these options with those of a call, as `parse_options` returned them, in their place."""
        return attrs.evolve(self, **given) if given else self


class TaskArguments(TypedDict, total=False):
    """The options of a task as keyword arguments; None means that an option is not given."""

    queue: str | None
    priority: int | None
    max_retries: int | None
    timeout: Duration | None
    result_ttl: Duration | None
    expires_in: Duration | None
    unique_key: UniqueKey | None
    interval: timedelta | None
    delay: Duration | None
    eta: datetime | None
    headers: Mapping[str, str] | None


class BatchArguments(TaskArguments, total=False):
    """The options of calls that are enqueued together as keyword arguments; None means that an option is not given."""

    connection: object | None


class CallArguments(BatchArguments, total=False):
    """The options of a single call as keyword arguments; None means that an option is not given."""

    task_id: str | None


def parse_options(**arguments: Unpack[CallArguments]) -> dict[str, Any]:
    """Check the options that are given and return them as fields of `TaskOptions`.

    Raises:
        ConfigError: Some are invalid; the message lists all of them.
    """
    given: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in arguments.items():
        if value is None:
            continue
        parser = _PARSERS.get(name)
        if parser is None:
            faults.append(unknown_key("", name, _PARSERS))
            continue
        try:
            given.update(parser(value))
        except ValueError as error:
            faults.append(Fault(name, str(error)))
    if not faults and given.get("eta") is not None and given.get("delay_ms") is not None:
        faults.append(
            Fault("delay", f"{show(arguments['delay'])} is given beside eta={arguments['eta']}. Give one of the two")
        )
    if faults:
        raise invalid("the options of the task", faults)
    if "eta" in given:
        given["delay_ms"] = None
    elif "delay_ms" in given:
        given["eta"] = None
    return given


def _queue(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or not value.strip():
        msg = f"{show(value)} is not the name of a queue. Give text such as 'default'"
        raise ValueError(msg)
    return {"queue": value}


def _priority(value: object) -> dict[str, Any]:
    if type(value) is not int or not 0 <= value <= _HIGHEST_PRIORITY:
        msg = f"{show(value)} is not a priority. Give an integer from 0 to 9; 9 runs first"
        raise ValueError(msg)
    return {"priority": value}


def _max_retries(value: object) -> dict[str, Any]:
    if type(value) is not int or value < 0:
        msg = f"{show(value)} is not a number of retries. Give an integer; 0 is one attempt without a retry"
        raise ValueError(msg)
    return {"max_retries": value}


def _limit(field: str, *, zero: bool) -> Callable[[object], dict[str, Any]]:
    def parse(value: object) -> dict[str, Any]:
        milliseconds = seconds_to_millis(parse_seconds(value))
        if milliseconds == 0 and not zero:
            msg = f"{show(value)} is no time at all. Give more than zero, or 'never' for no limit"
            raise ValueError(msg)
        return {field: milliseconds}

    return parse


def _delay(value: object) -> dict[str, Any]:
    milliseconds = seconds_to_millis(parse_seconds(value))
    if milliseconds is None:
        msg = f"{show(value)} would never start. Give seconds or a timedelta"
        raise ValueError(msg)
    return {"delay_ms": milliseconds}


def _interval(value: object) -> dict[str, Any]:
    if not isinstance(value, timedelta):
        remedy = f"timedelta(seconds={value})" if isinstance(value, int | float) else "timedelta(minutes=5)"
        msg = (
            f"{show(value)} could be seconds or milliseconds. Give a datetime.timedelta, for example {remedy}"
            if isinstance(value, int | float)
            else f"{show(value)} is not an interval. Give a datetime.timedelta, for example {remedy}"
        )
        raise ValueError(msg)  # noqa: TRY004 - ValueErrors are collected and reported together
    milliseconds = seconds_to_millis(parse_seconds(value))
    if not milliseconds:
        msg = f"{show(value)} is no time at all. Give at least timedelta(milliseconds=1)"
        raise ValueError(msg)
    return {"interval_ms": milliseconds}


def _eta(value: object) -> dict[str, Any]:
    if not isinstance(value, datetime):
        msg = f"{show(value)} is not a datetime. Give one with a time zone, or delay= for a time from now"
        raise ValueError(msg)  # noqa: TRY004 - ValueErrors are collected and reported together
    if value.utcoffset() is None:
        msg = (
            f"{value!r} has no time zone. Say which zone is meant, "
            "for example datetime.now(timezone.utc) or value.replace(tzinfo=ZoneInfo('Europe/Berlin'))"
        )
        raise ValueError(msg)
    to_millis(value, "eta")
    return {"eta": value}


def _unique_key(value: object) -> dict[str, Any]:
    if not callable(value) and (not isinstance(value, str) or not value):
        msg = f"{show(value)} is not a key. Give text, or a function that makes it from the task's arguments"
        raise ValueError(msg)
    return {"unique_key": value}


def _task_id(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or not value:
        msg = f"{show(value)} is not an id. Give text, or leave it out for a new one"
        raise ValueError(msg)
    return {"task_id": value}


def _headers(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(x, str) for item in value.items() for x in item):
        msg = f"{show(value)} must be a mapping of text to text. Put other values into the task's arguments"
        raise ValueError(msg)
    reserved = [name for name in value if name.startswith(INTERNAL_PREFIX)]
    if reserved:
        msg = f"{reserved[0]!r} begins with {INTERNAL_PREFIX!r}, which is OmniQ's own. Choose another name"
        raise ValueError(msg)
    return {"headers": dict(cast("Mapping[str, str]", value))}


def _connection(value: object) -> dict[str, Any]:
    return {"connection": value}


_PARSERS: dict[str, Callable[[object], dict[str, Any]]] = {
    "queue": _queue,
    "priority": _priority,
    "max_retries": _max_retries,
    "timeout": _limit("timeout_ms", zero=False),
    "result_ttl": _limit("result_ttl_ms", zero=True),
    "expires_in": _limit("expires_in_ms", zero=False),
    "unique_key": _unique_key,
    "interval": _interval,
    "delay": _delay,
    "eta": _eta,
    "headers": _headers,
    "connection": _connection,
    "task_id": _task_id,
}
