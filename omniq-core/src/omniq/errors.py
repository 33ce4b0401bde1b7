"""Every error that OmniQ raises on purpose.

::

    OmniQError
    ├── ConfigError (ValueError)
    │   └── UnknownBackendError
    ├── PluginError
    ├── CapabilityError
    ├── SerializationError (TypeError)
    ├── LimitExceededError (ValueError)
    ├── ScheduleNotFoundError (LookupError)
    ├── SyncInAsyncError (RuntimeError)
    ├── StorageError
    │   ├── StoreClosedError
    │   ├── StoreFormatError
    │   ├── ConnectionLostError (ConnectionError)
    │   └── OutcomeUnknownError
    └── TaskError
        ├── TaskNotFoundError (LookupError)
        ├── TaskFailedError
        ├── TaskCancelledError
        ├── ResultExpiredError
        ├── UnknownFunctionError (LookupError)
        └── ForbiddenFunctionError (PermissionError)

A wait that runs out of time raises the built-in `TimeoutError`. Every message says what was wrong, names the
offending value and tells what to do about it.
"""

from __future__ import annotations

__all__ = [
    "CapabilityError",
    "ConfigError",
    "ConnectionLostError",
    "ForbiddenFunctionError",
    "LimitExceededError",
    "OmniQError",
    "OutcomeUnknownError",
    "PluginError",
    "ResultExpiredError",
    "ScheduleNotFoundError",
    "SerializationError",
    "StorageError",
    "StoreClosedError",
    "StoreFormatError",
    "SyncInAsyncError",
    "TaskCancelledError",
    "TaskError",
    "TaskFailedError",
    "TaskNotFoundError",
    "UnknownBackendError",
    "UnknownFunctionError",
]


class OmniQError(Exception):
    """Root of the error tree."""


class ConfigError(OmniQError, ValueError):
    """A configuration or an argument is invalid; the message lists every fault that was found."""


class UnknownBackendError(ConfigError):
    """No installed backend has this type, or the backend does not offer the role asked of it."""


class PluginError(OmniQError):
    """An installed backend cannot be used: wrong backend API version, a broken plugin, a foreign `omniq`."""


class CapabilityError(OmniQError):
    """The backend cannot do what was asked; nothing was changed. The message says what to use instead."""


class SerializationError(OmniQError, TypeError):
    """A value cannot be encoded or decoded; the message names the argument and the remedy."""


class LimitExceededError(OmniQError, ValueError):
    """A value is over a limit that the backend declares; nothing was stored."""


class ScheduleNotFoundError(OmniQError, LookupError):
    """No schedule has this id."""


class SyncInAsyncError(OmniQError, RuntimeError):
    """The blocking `OmniQ` was called inside a running event loop; use `AsyncOmniQ` there."""


class StorageError(OmniQError):
    """A storage operation certainly was not applied."""


class StoreClosedError(StorageError):
    """The storage is not open: it was closed, or it was opened in another process before a fork."""


class StoreFormatError(StorageError):
    """The store was written in a format that this version cannot read; the message names the command to run."""


class ConnectionLostError(StorageError, ConnectionError):
    """The store cannot be reached; the operation certainly was not applied and may be tried again."""


class OutcomeUnknownError(StorageError):
    """The reply was lost: any subset of the batch may have been applied."""


class TaskError(OmniQError):
    """Something about one task. `task_id` names it."""

    def __init__(self, message: str, *, task_id: str = "") -> None:
        super().__init__(message)
        self.task_id = task_id


class TaskNotFoundError(TaskError, LookupError):
    """No task has this id (it never existed, or it was purged after its retention)."""


class TaskFailedError(TaskError):
    """The task ended as FAILED.

    Attributes:
        task_id: The id of the task.
        error_type: The qualified name of the exception's class in the worker, or a reason such as `expired`.
        error_message: The text of that exception.
        traceback: The worker's formatted traceback, or an empty string if no code ran.
    """

    def __init__(
        self, message: str, *, task_id: str = "", error_type: str = "", error_message: str = "", traceback: str = ""
    ) -> None:
        super().__init__(message, task_id=task_id)
        self.error_type = error_type
        self.error_message = error_message
        self.traceback = traceback

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n\nTraceback in the worker:\n{self.traceback}" if self.traceback else text


class TaskCancelledError(TaskError):
    """The task ended as CANCELLED."""


class ResultExpiredError(TaskError):
    """The task completed, but its result was kept only for its `result_ttl` and is gone."""


class UnknownFunctionError(TaskError, LookupError):
    """The function is allowed but cannot be found here; a newer worker may know it."""


class ForbiddenFunctionError(TaskError, PermissionError):
    """The function is neither registered nor in an allowed module; it is never imported or run."""
