"""What the exit codes of `omniq` mean; docs/reference/cli.md has the same table."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from omniq.errors import (
    CapabilityError,
    ConfigError,
    ConnectionLostError,
    LimitExceededError,
    OutcomeUnknownError,
    PluginError,
    ScheduleNotFoundError,
    SerializationError,
    StoreFormatError,
    TaskNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MEANINGS", "ExitCode", "exit_code_of"]


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    TIMEOUT = 4
    UNREACHABLE = 5
    REFUSED = 6
    UNKNOWN_OUTCOME = 7
    INTERRUPTED = 130


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "what was asked for failed: the task failed or was cancelled, a check found a fault",
    ExitCode.USAGE: "wrong usage, invalid configuration, an app that cannot be imported, or a backend that is missing",
    ExitCode.NOT_FOUND: "no such task, schedule or result, or not any more; what else was named was dealt with",
    ExitCode.TIMEOUT: "the time given to wait ran out, or the task has not ended yet",
    ExitCode.UNREACHABLE: "the store cannot be reached; nothing was changed",
    ExitCode.REFUSED: "the store cannot do this, or was written by another version; nothing was changed",
    ExitCode.UNKNOWN_OUTCOME: "the connection broke, and whether the change was made is not known",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
}

_BY_ERROR: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], ExitCode], ...] = (
    ((TaskNotFoundError, ScheduleNotFoundError), ExitCode.NOT_FOUND),
    (ConnectionLostError, ExitCode.UNREACHABLE),
    (OutcomeUnknownError, ExitCode.UNKNOWN_OUTCOME),
    ((CapabilityError, StoreFormatError), ExitCode.REFUSED),
    ((ConfigError, PluginError, SerializationError, LimitExceededError), ExitCode.USAGE),
    (TimeoutError, ExitCode.TIMEOUT),
)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code that an error of the application ends a command with."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAILED)
