"""Filters as SQL; equal to `TaskFilter.matches` and `EventFilter.matches`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omniq.models.status import TaskStatus, TaskView
from omniq_sqlite.rows import CODES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.models.event import EventFilter
    from omniq.models.record import TaskFilter

__all__ = ["event_conditions", "task_conditions"]

_EXPIRED = "task.state = 0 AND task.expires_at IS NOT NULL AND task.expires_at <= :now"
_NOT_EXPIRED = "task.state = 0 AND (task.expires_at IS NULL OR task.expires_at > :now)"
_VIEWS: dict[TaskStatus | TaskView, str] = {
    TaskView.SCHEDULED: f"({_NOT_EXPIRED} AND task.ready_at > :now)",
    TaskView.READY: f"({_NOT_EXPIRED} AND task.ready_at <= :now)",
    TaskView.EXPIRED: f"({_EXPIRED})",
    TaskView.STALE: "(task.state = 1 AND task.lease_until <= :now)",
    **{state: f"task.state = {CODES[state]}" for state in TaskStatus},
}


def task_conditions(wanted: TaskFilter | None, now: int) -> tuple[str, dict[str, Any]]:
    """Return the condition on `task` rows, and its parameters."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {"now": now}
    if wanted is None:
        return "1", parameters
    if wanted.states is not None:
        conditions.append(f"({' OR '.join(sorted(_VIEWS[state] for state in wanted.states)) or '0'})")
    for column, values in (("task.queue", wanted.queues), ("task.func", wanted.funcs), ("task.id", wanted.ids)):
        if values is not None:
            conditions.append(_one_of(column, values, parameters))
    for column, operator, value in (
        ("task.unique_key", "=", wanted.unique_key),
        ("task.series_id", "=", wanted.series_id),
        ("task.enqueued_at", ">=", wanted.enqueued_from),
        ("task.enqueued_at", "<", wanted.enqueued_before),
    ):
        if value is not None:
            conditions.append(f"{column} {operator} {_parameter(value, parameters)}")
    return " AND ".join(conditions) or "1", parameters


def event_conditions(wanted: EventFilter | None) -> tuple[str, dict[str, Any]]:
    """Return the condition on `event` rows, and its parameters."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    if wanted is None:
        return "1", parameters
    for column, values in (("type", wanted.types), ("queue", wanted.queues)):
        if values is not None:
            conditions.append(_one_of(column, map(str, values), parameters))
    for column, operator, value in (
        ("task", "=", wanted.task_id),
        ("at", ">=", wanted.at_from),
        ("at", "<", wanted.at_before),
    ):
        if value is not None:
            conditions.append(f"{column} {operator} {_parameter(value, parameters)}")
    return " AND ".join(conditions) or "1", parameters


def _one_of(column: str, values: Iterable[str], parameters: dict[str, Any]) -> str:
    return f"{column} IN (SELECT value FROM json_each({_parameter(json.dumps(sorted(values)), parameters)}))"


def _parameter(value: object, parameters: dict[str, Any]) -> str:
    name = f"p{len(parameters)}"
    parameters[name] = value
    return f":{name}"
