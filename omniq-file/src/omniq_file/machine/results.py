"""What a result storage decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.models.result import ResultRecord

if TYPE_CHECKING:
    from omniq_file.machine.transaction import Transaction

__all__ = ["put_result"]


def put_result(tx: Transaction, record: ResultRecord) -> bool:
    """Store an outcome unless a later one is there, and tell whether it is the stored one now."""
    old = tx.view.results.by_id.get(record.id)
    if old is not None and old.order > record.order:
        return False
    expires_at = None if record.ttl_ms is None else tx.now + record.ttl_ms
    if type(record) is ResultRecord:  # `evolve` takes four times as long
        made = ResultRecord(
            record.id,
            record.seq,
            record.epoch,
            record.status,
            record.value,
            record.codec,
            record.error,
            record.ttl_ms,
            tx.now,
            expires_at,
        )
        tx.result(made)
    else:
        tx.result(attrs.evolve(record, stored_at=tx.now, expires_at=expires_at))
    return True
