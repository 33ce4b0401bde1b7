"""Counts and logs what became of runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from omniq.models.status import TaskStatus
from omniq.worker.retrying import TRANSIENT

if TYPE_CHECKING:
    from omniq.models.error import ErrorInfo
    from omniq.models.record import SettleReply
    from omniq.worker.context import Run
    from omniq.worker.roster import Roster

__all__ = ["account", "log_failure"]

_log = logging.getLogger(__name__)


def account(roster: Roster, run: Run, reply: SettleReply | Exception, meant: TaskStatus) -> None:
    """Count a run that is settled, or that nothing more can be done for, and forget it.

    Args:
        roster: Where it is counted.
        run: The run.
        reply: What the queue answered; an exception if it was not recorded.
        meant: What was to be recorded: COMPLETED, FAILED, or PENDING for a run that is handed back.
    """
    match reply:
        case "ok" | "already" if meant is TaskStatus.COMPLETED:
            roster.completed += 1
        case "FAILED" | "CANCELLED":
            roster.failed += 1
        case "PENDING" | "already" if meant is TaskStatus.PENDING:
            roster.released += 1
        case "PENDING":
            roster.retried += 1
        case "already":
            roster.failed += 1
        case _:
            roster.lost += 1
            _log_loss(run, reply, meant)
    roster.drop(run)


def log_failure(run: Run, error: ErrorInfo, delay_ms: int | None, reply: SettleReply | Exception) -> None:
    """Log a failed attempt: as a warning if it is tried again, as an error with its traceback if not."""
    grant = run.grant
    if reply == "PENDING":
        _log.warning(
            "task %s: attempt %d of %d failed, tried again in %.1f s: %s",
            grant.id,
            grant.attempt,
            grant.max_attempts,
            (delay_ms or 0) / 1000,
            error.summary(),
            extra=run.log_fields(),
        )
    elif reply == "FAILED":
        _log.error(
            "task %s failed for good at attempt %d of %d: %s\n%s",
            grant.id,
            grant.attempt,
            grant.max_attempts,
            error.summary(),
            error.traceback,
            extra=run.log_fields(),
        )


def _log_loss(run: Run, reply: SettleReply | Exception, meant: TaskStatus) -> None:
    task_id, fields = run.grant.id, run.log_fields()
    if reply == "lost":
        _log.warning(
            "task %s was taken over by another worker; its outcome here (%s) is not recorded",
            task_id,
            meant,
            extra=fields,
        )
    elif isinstance(reply, TRANSIENT):
        _log.error("task %s: its outcome (%s) could not be recorded within its lease", task_id, meant, extra=fields)
    else:
        error = reply if isinstance(reply, Exception) else None
        _log.error("task %s: its outcome (%s) was refused by the store", task_id, meant, exc_info=error, extra=fields)
