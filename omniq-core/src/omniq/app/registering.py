"""Turns decorated functions into registered tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError
from omniq.models.durations import seconds_to_millis
from omniq.models.redaction import show
from omniq.queue.naming import calling_module, importable_name, path_of
from omniq.queue.options import TaskOptions, parse_options
from omniq.queue.registry import TaskDefinition, TaskRegistry, resolve_run_in
from omniq.queue.task import TaskHandle
from omniq.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq.models.config import OmniQConfig
    from omniq.queue.connection import Client

__all__ = ["default_options", "make_registry", "register"]

_FACADES = ("omniq.app", "omniq.testing")
_OWN = "omniq"


def make_registry(config: OmniQConfig) -> TaskRegistry:
    """Return an empty registry that allows the top-level package of the module that is making the application."""
    module = calling_module(_FACADES)
    name = importable_name(module)
    package = name.partition(".")[0]
    registry = TaskRegistry(config.allowed_modules)
    if package != _OWN:  # the command line makes applications for others
        registry.allow(package, *([module] if module != name else []))
    return registry


def default_options(config: OmniQConfig) -> TaskOptions:
    """Return what tasks are enqueued with that say nothing themselves."""
    return TaskOptions(queue=config.default_queue, result_ttl_ms=seconds_to_millis(config.default_ttl))


def register(
    client: Client,
    func: object,
    *,
    name: str | None,
    retry: RetryPolicy | None,
    run_in: str,
    options: Mapping[str, Any],
) -> TaskDefinition[..., Any]:
    """Register a function as a task of an application.

    Raises:
        ConfigError: It is no function that workers can find, the name is taken, or an option is invalid.
    """
    if isinstance(func, TaskHandle):
        func = func.__wrapped__
    if not callable(func):
        msg = (
            f"@app.task: {show(func)} is not a function. Write @app.task, or @app.task(queue='mail', ...) with options."
        )
        raise ConfigError(msg)
    if name is not None and not (name and isinstance(name, str)):
        raise ConfigError(f"name: {show(name)} is not a name of a task. Give text such as 'mail.send'.")
    given = parse_options(**options)
    for of_a_call in given.keys() & {"task_id", "connection"}:
        value = show(given[of_a_call])
        raise ConfigError(f"{of_a_call}: {value} is of one call, not of a task. Give it to enqueue().")
    if retry is not None:
        given.setdefault("max_retries", retry.max_retries)
    definition: TaskDefinition[..., Any] = TaskDefinition(
        name=path_of(func) if name is None else name,
        func=func,
        options=client.defaults.merged(given),
        retry=RetryPolicy() if retry is None else retry,
        run_in=resolve_run_in(func, run_in),
    )
    client.registry.add(definition)
    return definition
