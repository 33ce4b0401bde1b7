"""What the running code is about, so that its log records can say so."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LogSubject", "log_subject"]


class LogSubject(Protocol):
    """Something that log records can be about; the run of a task is one."""

    def log_fields(self) -> Mapping[str, object]:
        """Return what records about it carry: `task_id`, `queue`, `attempt` and `func`."""
        ...


log_subject: ContextVar[LogSubject | None] = ContextVar("omniq_log_subject", default=None)
"""Set by the worker around every task; threads that a task starts have it if they run in a copy of its context."""
