"""The exit codes of every command."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """What a command tells the shell."""

    GOOD = 0
    FAILED = 1
    """An item failed, broke or was vacuous (with --strict: or is unverified), or what was checked is wrong."""
    USAGE = 2
    """What was asked for does not exist or cannot be read; nothing was run."""
    INTERRUPTED = 130
