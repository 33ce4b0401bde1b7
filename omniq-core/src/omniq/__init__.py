"""A task queue with interchangeable storage.

`OmniQ` is for programs that block, `AsyncOmniQ` for asynchronous ones. Everything is imported when it is first used, so
importing this package costs next to nothing and loads no backend.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniq.app.async_app import AsyncOmniQ
    from omniq.app.sync_app import OmniQ
    from omniq.config import Settings
    from omniq.errors import (
        CapabilityError,
        ConfigError,
        ConnectionLostError,
        ForbiddenFunctionError,
        LimitExceededError,
        OmniQError,
        OutcomeUnknownError,
        PluginError,
        ResultExpiredError,
        ScheduleNotFoundError,
        SerializationError,
        StorageError,
        StoreClosedError,
        StoreFormatError,
        SyncInAsyncError,
        TaskCancelledError,
        TaskError,
        TaskFailedError,
        TaskNotFoundError,
        UnknownBackendError,
        UnknownFunctionError,
    )
    from omniq.models.config import OmniQConfig, StorageBackendConfig
    from omniq.models.outcome import ResultState, TaskResult
    from omniq.models.status import TaskStatus, TaskView
    from omniq.models.task import Task
    from omniq.queue.job import Job, SyncJob
    from omniq.retry import DoNotRetry, RetryLater, RetryPolicy, Snooze
    from omniq.storage.hookspecs import hookimpl
    from omniq.worker.context import TaskContext, current_task

    __version__: str

__all__ = [
    "AsyncOmniQ",
    "CapabilityError",
    "ConfigError",
    "ConnectionLostError",
    "DoNotRetry",
    "ForbiddenFunctionError",
    "Job",
    "LimitExceededError",
    "OmniQ",
    "OmniQConfig",
    "OmniQError",
    "OutcomeUnknownError",
    "PluginError",
    "ResultExpiredError",
    "ResultState",
    "RetryLater",
    "RetryPolicy",
    "ScheduleNotFoundError",
    "SerializationError",
    "Settings",
    "Snooze",
    "StorageBackendConfig",
    "StorageError",
    "StoreClosedError",
    "StoreFormatError",
    "SyncInAsyncError",
    "SyncJob",
    "Task",
    "TaskCancelledError",
    "TaskContext",
    "TaskError",
    "TaskFailedError",
    "TaskNotFoundError",
    "TaskResult",
    "TaskStatus",
    "TaskView",
    "UnknownBackendError",
    "UnknownFunctionError",
    "__version__",
    "current_task",
    "hookimpl",
]

_MODULES = {
    "AsyncOmniQ": "omniq.app.async_app",
    "OmniQ": "omniq.app.sync_app",
    "Settings": "omniq.config",
    "CapabilityError": "omniq.errors",
    "ConfigError": "omniq.errors",
    "ConnectionLostError": "omniq.errors",
    "ForbiddenFunctionError": "omniq.errors",
    "LimitExceededError": "omniq.errors",
    "OmniQError": "omniq.errors",
    "OutcomeUnknownError": "omniq.errors",
    "PluginError": "omniq.errors",
    "ResultExpiredError": "omniq.errors",
    "ScheduleNotFoundError": "omniq.errors",
    "SerializationError": "omniq.errors",
    "StorageError": "omniq.errors",
    "StoreClosedError": "omniq.errors",
    "StoreFormatError": "omniq.errors",
    "SyncInAsyncError": "omniq.errors",
    "TaskCancelledError": "omniq.errors",
    "TaskError": "omniq.errors",
    "TaskFailedError": "omniq.errors",
    "TaskNotFoundError": "omniq.errors",
    "UnknownBackendError": "omniq.errors",
    "UnknownFunctionError": "omniq.errors",
    "OmniQConfig": "omniq.models.config",
    "StorageBackendConfig": "omniq.models.config",
    "ResultState": "omniq.models.outcome",
    "TaskResult": "omniq.models.outcome",
    "TaskStatus": "omniq.models.status",
    "TaskView": "omniq.models.status",
    "Task": "omniq.models.task",
    "Job": "omniq.queue.job",
    "SyncJob": "omniq.queue.job",
    "DoNotRetry": "omniq.retry",
    "RetryLater": "omniq.retry",
    "RetryPolicy": "omniq.retry",
    "Snooze": "omniq.retry",
    "hookimpl": "omniq.storage.hookspecs",
    "TaskContext": "omniq.worker.context",
    "current_task": "omniq.worker.context",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("omniq-core")
    module = _MODULES.get(name)
    if module is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
