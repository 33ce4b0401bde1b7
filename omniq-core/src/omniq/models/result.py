"""The record of how a task ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.clock import from_millis
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from datetime import datetime


__all__ = ["ResultRecord"]


@attrs.define
class ResultRecord:
    """The outcome of one task, ordered by (seq, epoch): a later claim's outcome replaces an earlier one's.

    Positional too, because the worker makes one for every task, and keywords double the time that takes.

    Attributes:
        id: The task's id.
        seq: From the token of the run, or from the record for a task that ended without a worker.
        epoch: Likewise.
        status: COMPLETED, FAILED or CANCELLED.
        value: The encoded return value; None unless COMPLETED.
        codec: The name of the serializer that encoded `value`.
        error: The JSON text of an `ErrorInfo`; None if COMPLETED.
        ttl_ms: How long to keep it from the moment it is stored; None keeps it.
        stored_at: Set by the store, milliseconds since the epoch.
        expires_at: Set by the store; the record is absent from then on.
    """

    id: str
    seq: int
    epoch: int
    status: TaskStatus
    value: bytes | None = None
    codec: str = "json"
    error: str | None = None
    ttl_ms: int | None = None
    stored_at: int | None = None
    expires_at: int | None = None

    @property
    def order(self) -> tuple[int, int]:
        """What decides which of two outcomes of one id is kept."""
        return self.seq, self.epoch

    @property
    def finished_at(self) -> datetime | None:
        """When it was stored, in UTC."""
        return None if self.stored_at is None else from_millis(self.stored_at)
