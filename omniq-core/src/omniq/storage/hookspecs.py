"""The hooks that plugins implement.

A **backend** is a module named by an entry point in the group `omniq.backends`; the entry point's name is the
`backend_type`. It implements `omniq_backend_info` and the creation hook of each role that it offers::

    from omniq.storage.hookspecs import hookimpl

    @hookimpl
    def omniq_backend_info() -> BackendInfo: ...

    @hookimpl
    def omniq_create_task_queue(config: BackendConfig) -> TaskQueue: ...

The module is imported whenever its name is configured, so it imports drivers inside the hooks. A creation hook only
makes the object; the core opens it. It is asked of the one backend that the configuration names, never of all.

Any **other plugin** is named by an entry point in the group `omniq.plugins` and implements some of the other hooks.
Those are called synchronously, for every plugin; an implementation that has to wait returns an awaitable, which the
caller awaits. A hook may take fewer arguments than are listed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterable

    from omniq.models.event import Event
    from omniq.models.record import TaskSpec
    from omniq.storage.backend import BackendConfig, BackendInfo
    from omniq.storage.events import EventStorage
    from omniq.storage.results import ResultStorage
    from omniq.storage.schedules import ScheduleStorage
    from omniq.storage.task_queue import TaskQueue

__all__ = ["PROJECT", "hookimpl", "hookspec"]

PROJECT = "omniq"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def omniq_backend_info() -> BackendInfo | None:
    """Tell what this backend is, without importing its driver."""


@hookspec(firstresult=True)
def omniq_create_task_queue(config: BackendConfig) -> TaskQueue | None:
    """Make the task queue; do not open it.

    Raises:
        ConfigError: The url or the options are invalid.
    """


@hookspec(firstresult=True)
def omniq_create_result_storage(config: BackendConfig) -> ResultStorage | None:
    """Make the result storage; do not open it.

    Raises:
        ConfigError: The url or the options are invalid.
    """


@hookspec(firstresult=True)
def omniq_create_event_storage(config: BackendConfig) -> EventStorage | None:
    """Make the event storage; do not open it.

    Raises:
        ConfigError: The url or the options are invalid.
    """


@hookspec(firstresult=True)
def omniq_create_schedule_storage(config: BackendConfig) -> ScheduleStorage | None:
    """Make the schedule storage; do not open it.

    Raises:
        ConfigError: The url or the options are invalid.
    """


@hookspec
def omniq_before_enqueue(spec: TaskSpec, app: Any) -> Awaitable[None] | None:
    """Look at a task before it is enqueued, and change it in place (headers, queue, priority) if need be.

    Args:
        spec: The task; nothing is stored yet.
        app: The `AsyncOmniQ` that enqueues it.

    Raises:
        Exception: Whatever is raised refuses the task: `enqueue` raises it to its caller.
    """


@hookspec
def omniq_around_execution(context: Any) -> Generator[None, object, object]:
    """Wrap the run of a task: a generator that yields once, marked `@hookimpl(wrapper=True)`.

    What it yields is the result of the run, or raises its exception; what it returns stands for the result.

    Args:
        context: The context of the running task, as `current_task()` returns it.
    """
    raise NotImplementedError


@hookspec
def omniq_on_event(event: Event) -> Awaitable[None] | None:
    """Hear of an event after it was stored.

    Every worker process tells its plugins of each event that is stored while it runs, whoever caused it, in the order
    of the log. What was stored while no worker ran is not told later; `app.events()` and `app.tail_events()` read it.
    An exception is logged and goes no further.

    Args:
        event: What happened to a task or a schedule.
    """


@hookspec
def omniq_register_commands(cli: Any) -> None:
    """Add commands to the command line.

    Args:
        cli: The click group `omniq`.
    """


@hookspec
def omniq_doctor_checks(app: Any) -> Iterable[object] | Awaitable[Iterable[object]] | None:
    """Add checks to `omniq doctor`.

    Args:
        app: The opened `AsyncOmniQ`.
    """
