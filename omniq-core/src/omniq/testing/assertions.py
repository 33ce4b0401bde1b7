"""Assertions on what was enqueued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError
from omniq.models.faults import unknown_key
from omniq.models.task import Task
from omniq.queue.naming import path_of
from omniq.queue.task import TaskHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["assert_enqueued"]

_MOST_SHOWN = 10
_READABLE = frozenset(name for name in dir(Task) if isinstance(getattr(Task, name), property))


def assert_enqueued(
    tasks: Iterable[Task],
    func: TaskHandle[..., Any] | Callable[..., Any] | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    count: int | None = None,
    **fields: Any,
) -> list[Task]:
    """Assert that a task is among the given ones: `assert_enqueued(await app.list_tasks(), send, args=[7])`.

    Args:
        tasks: What to look through.
        func: The task, the function, or its name.
        args: Its positional arguments, all of them.
        kwargs: Its keyword arguments, all of them.
        count: How often it is there; None is at least once.
        **fields: What other fields of the `Task` must equal, such as `queue="mail"` or `priority=9`.

    Returns:
        The tasks that fit.

    Raises:
        AssertionError: There is none, or not so many; the message lists what is there and how it differs.
        ConfigError: A field is unknown.
    """
    unknown = [unknown_key("", name, _READABLE) for name in fields if name not in _READABLE]
    if unknown:
        raise ConfigError("; ".join(f"{fault.path.lstrip('.')}: {fault.message}" for fault in unknown))
    wanted: dict[str, Any] = {"func_path": _name(func), **fields}
    if args is not None:
        wanted["args"] = list(args)
    if kwargs is not None:
        wanted["kwargs"] = kwargs
    seen = list(tasks)
    found = [task for task in seen if not _differences(task, wanted)]
    if len(found) == count or (found and count is None):
        return found
    expected = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
    times = "at least once" if count is None else f"{count} times"
    lines = [f"{expected} was to be enqueued {times}, and was {len(found)} times. There are {len(seen)} tasks:"]
    lines += [f"  {task.id}: {'; '.join(_differences(task, wanted)) or 'fits'}" for task in seen[:_MOST_SHOWN]]
    if len(seen) > _MOST_SHOWN:
        lines.append(f"  and {len(seen) - _MOST_SHOWN} more")
    raise AssertionError("\n".join(lines))


def _differences(task: Task, wanted: dict[str, Any]) -> list[str]:
    return [
        f"{name} is {getattr(task, name)!r}, not {value!r}"
        for name, value in wanted.items()
        if getattr(task, name) != value
    ]


def _name(func: TaskHandle[..., Any] | Callable[..., Any] | str) -> str:
    if isinstance(func, TaskHandle):
        return func.name
    return func if isinstance(func, str) else path_of(func)
