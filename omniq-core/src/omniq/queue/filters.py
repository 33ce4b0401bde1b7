"""How people say which tasks they mean."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar

from omniq.clock import to_millis
from omniq.errors import ConfigError
from omniq.models.faults import Fault, closest, invalid, unknown_key
from omniq.models.record import TaskFilter
from omniq.models.redaction import show
from omniq.models.status import TaskStatus, TaskView
from omniq.queue.task import TaskHandle

if TYPE_CHECKING:
    from enum import StrEnum
    from typing import Unpack

__all__ = ["FilterArguments", "Several", "Status", "names_of", "parse_filter", "parse_members", "parse_time"]

T = TypeVar("T")
E = TypeVar("E", bound="StrEnum")

Several: TypeAlias = T | Iterable[T]
"""One, or several."""

Status: TypeAlias = TaskStatus | TaskView | str
"""A state, or a view of one: `FAILED`, `scheduled`; upper or lower case."""


class FilterArguments(TypedDict, total=False):
    """Which tasks are meant, as keyword arguments: all conditions that are given hold.

    `status`, `queue` and `func` take one or several; `since` and `until` are aware datetimes and mean when the task
    was enqueued (`until` itself is not meant).
    """

    status: Several[Status] | None
    queue: Several[str] | None
    func: Several[str | TaskHandle[..., Any]] | None
    unique_key: str | None
    series_id: str | None
    since: datetime | None
    until: datetime | None


def parse_filter(**arguments: Unpack[FilterArguments]) -> TaskFilter:
    """Return the filter that the conditions mean.

    Raises:
        ConfigError: Some are invalid; the message lists all of them.
    """
    fields: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in arguments.items():
        if name not in _FIELDS:
            faults.append(unknown_key("", name, _FIELDS))
        elif value is not None:
            field, parse = _FIELDS[name]
            try:
                fields[field] = parse(value, name)
            except ValueError as error:
                faults.append(Fault("", str(error)))
    if faults:
        raise invalid("the filter", faults)
    return TaskFilter(**fields)


def names_of(value: object, name: str) -> frozenset[str]:
    """Return one name or several as a set.

    Raises:
        ConfigError: There is none, or something is not text.
    """
    values = [value] if isinstance(value, str) else value
    found = frozenset(values) if isinstance(values, Iterable) else frozenset()
    if found and all(isinstance(item, str) and item for item in found):
        return found
    msg = f"{name}: {show(value)} names nothing. Give a name, or a list of names."
    raise ConfigError(msg)


def parse_members(value: object, name: str, *kinds: type[E]) -> frozenset[E]:
    """Return one value or several as members of the enumerations, in upper or lower case.

    Raises:
        ConfigError: One is none of theirs.
    """
    known = {member.value.casefold(): member for kind in kinds for member in kind}
    found = set()
    for text in names_of(value, name):
        member = known.get(text.casefold())
        if member is None:
            meant = closest(text.casefold(), known)
            hint = f"Did you mean {known[meant].value}? " if meant else ""
            msg = f"{name}: {show(text)} is unknown. {hint}Known are {', '.join(map(str, known.values()))}."
            raise ConfigError(msg)
        found.add(member)
    return frozenset(found)


def parse_time(value: object, name: str) -> int:
    """Return an aware datetime as milliseconds since the epoch.

    Raises:
        ConfigError: It is something else, or naive.
    """
    if isinstance(value, datetime):
        return to_millis(value, name)
    msg = f"{name}: {show(value)} is not a datetime. Give one with a time zone."
    raise ConfigError(msg)


def _states(value: object, name: str) -> frozenset[TaskStatus | TaskView]:
    kinds: tuple[type[StrEnum], ...] = (TaskStatus, TaskView)
    found: frozenset[Any] = parse_members(value, name, *kinds)
    return found


def _funcs(value: object, name: str) -> frozenset[str]:
    values = [value] if isinstance(value, str | TaskHandle) else value
    if isinstance(values, Iterable):
        values = [item.name if isinstance(item, TaskHandle) else item for item in values]
    return names_of(values, name)


def _text(value: object, name: str) -> str:
    (text,) = names_of([value], name)
    return text


_FIELDS = {
    "status": ("states", _states),
    "queue": ("queues", names_of),
    "func": ("funcs", _funcs),
    "unique_key": ("unique_key", _text),
    "series_id": ("series_id", _text),
    "since": ("enqueued_from", parse_time),
    "until": ("enqueued_before", parse_time),
}
