"""Filters as SQL; equal to `TaskFilter.matches` and `EventFilter.matches`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from omniq.models.status import TaskStatus, TaskView
from omniq_postgres.rows import CODES, EVENT_CODES
from omniq_postgres.texts import kept

if TYPE_CHECKING:
    from omniq.models.event import EventFilter
    from omniq.models.record import TaskFilter

__all__ = ["PageQuery", "Query", "event_query", "is_ordered", "task_query"]


class Query:
    """Conditions that all have to hold, with their parameters."""

    def __init__(self) -> None:
        self.parameters: list[Any] = []
        self._conditions: list[str] = []

    def add(self, condition: str, *values: object) -> None:
        """Add a condition; its `{}` stand for the values."""
        self._conditions.append(condition.format(*map(self.mark, values)))

    def mark(self, value: object) -> str:
        """Return the mark of one more parameter."""
        self.parameters.append(value)
        return f"${len(self.parameters)}"

    @property
    def condition(self) -> str:
        """The conditions as one."""
        return " AND ".join(self._conditions) or "true"


class PageQuery(Query):
    """Conditions as the function `page` takes them: numbers are elements of its first parameter, two lists follow."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int | None] = []
        self.lists: list[list[str]] = []

    def mark(self, value: object) -> str:
        """Return what stands for one more number or list."""
        if isinstance(value, list):
            self.lists.append(value)
            return f"${len(self.lists) + 1}"
        self.numbers.append(cast("int | None", value))
        return f"$1[{len(self.numbers)}]"


def is_ordered(wanted: TaskFilter | None) -> bool:
    """Tell whether the tasks are best looked for in their order: they are not few, and no index finds them."""
    return wanted is None or (wanted.ids is None and wanted.series_id is None and wanted.unique_key is None)


def task_query(wanted: TaskFilter | None, now: int | None, query: Query | None = None) -> Query:
    """Return the conditions on `h`, a row of `head`, and `t`, one of `task`."""
    query = Query() if query is None else query
    if wanted is None:
        return query
    if wanted.states is not None:
        views = any(isinstance(state, TaskView) for state in wanted.states)
        at = f"omniq.now_ms({query.mark(now)})" if views else ""
        tests = sorted(_state(state, at) for state in wanted.states)
        query.add(f"({' OR '.join(tests) or 'false'})")
    for column, values in (("h.queue", wanted.queues), ("t.func", wanted.funcs), ("t.id", wanted.ids)):
        if values is not None:
            query.add(f"{column} = ANY ({{}}::text[])", [kept(value) for value in sorted(values)])
    for column, operator, value in (
        ("h.unique_key", "=", kept(wanted.unique_key)),
        ("h.series_id", "=", kept(wanted.series_id)),
        ("t.enqueued_at", ">=", wanted.enqueued_from),
        ("t.enqueued_at", "<", wanted.enqueued_before),
    ):
        if value is not None:
            query.add(f"{column} {operator} {{}}", value)
    return query


def _state(state: TaskStatus | TaskView, at: str) -> str:
    if isinstance(state, TaskStatus):
        return f"h.state = {CODES[state]}"
    return {
        TaskView.SCHEDULED: f"(h.state = 0 AND h.ready_at > {at} AND (h.expires_at IS NULL OR h.expires_at > {at}))",
        TaskView.READY: f"(h.state = 0 AND h.ready_at <= {at} AND (h.expires_at IS NULL OR h.expires_at > {at}))",
        TaskView.EXPIRED: f"(h.state = 0 AND h.expires_at <= {at})",
        TaskView.STALE: f"(h.state = 1 AND h.lease_until <= {at})",
    }[state]


def event_query(wanted: EventFilter | None) -> Query:
    """Return the conditions on `e`, a row of `event`."""
    query = Query()
    if wanted is None:
        return query
    if wanted.types is not None:
        query.add("e.type = ANY ({}::smallint[])", sorted(EVENT_CODES[kind] for kind in wanted.types))
    if wanted.queues is not None:
        query.add("e.queue = ANY ({}::text[])", [kept(name) for name in sorted(wanted.queues)])
    for column, operator, value in (
        ("e.task", "=", kept(wanted.task_id)),
        ("e.at", ">=", wanted.at_from),
        ("e.at", "<", wanted.at_before),
    ):
        if value is not None:
            query.add(f"{column} {operator} {{}}", value)
    return query
