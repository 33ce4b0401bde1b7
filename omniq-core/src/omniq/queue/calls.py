"""Turns what a caller names into a call that can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError
from omniq.models.redaction import show
from omniq.queue.naming import path_of, split_path
from omniq.queue.specs import check_arguments
from omniq.queue.task import TaskCall, TaskHandle

if TYPE_CHECKING:
    from omniq.queue.connection import Client

__all__ = ["call_of"]


def call_of(func: object, args: object, kwargs: object, client: Client) -> TaskCall[Any]:
    """Return the call of a task, a function, or a path, with the options that the task was registered with.

    Raises:
        ConfigError: It is none of these, other processes could not find it, or the arguments are no arguments.
    """
    if isinstance(func, TaskCall):
        return func
    positional, keyword = check_arguments(args, kwargs)
    if isinstance(func, TaskHandle):
        return TaskCall(func.name, func.definition.options, positional, keyword)
    if isinstance(func, str):
        split_path(func)
        name = func
    elif callable(func):
        name = path_of(func)
    else:
        msg = f"func: {show(func)} is not a function. Give a task, a function, or its path 'package.module.function'."
        raise ConfigError(msg)
    known = client.registry.get(name)
    if known is not None:
        return TaskCall(known.name, known.options, positional, keyword)
    return TaskCall(name, client.defaults, positional, keyword)
