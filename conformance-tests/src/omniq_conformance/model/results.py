"""The reference model of the result storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.result import ResultRecord

__all__ = ["ResultsModel"]


class ResultsModel:
    """Answers every call of `ResultStorage`.

    Attributes:
        stored: The latest outcome of each id, expired or not.
    """

    def __init__(self) -> None:
        self.stored: dict[str, ResultRecord] = {}

    def put(self, records: Sequence[ResultRecord], *, now: int) -> list[bool]:
        """Answer `ResultStorage.put`."""
        return [self._put(record, now) for record in records]

    def _put(self, record: ResultRecord, now: int) -> bool:
        old = self.stored.get(record.id)
        if old is not None and (old.seq, old.epoch) > (record.seq, record.epoch):
            return False
        expires_at = None if record.ttl_ms is None else now + record.ttl_ms
        self.stored[record.id] = attrs.evolve(record, stored_at=now, expires_at=expires_at)
        return True

    def get(self, ids: Sequence[str], *, now: int) -> builtins.list[ResultRecord | None]:
        """Answer `ResultStorage.get`."""
        return [record if record and not _expired(record, now) else None for record in map(self.stored.get, ids)]

    def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        """Answer `ResultStorage.delete`."""
        return [self.stored.pop(id, None) is not None for id in ids]

    def list(self, *, after: str | None = None, limit: int = 100, now: int) -> builtins.list[ResultRecord]:
        """Answer `ResultStorage.list`."""
        ids = sorted(id for id, record in self.stored.items() if not _expired(record, now))
        return [self.stored[id] for id in ids if after is None or id > after][:limit]

    def expired(self, now: int) -> builtins.list[ResultRecord]:
        """Return the expired outcomes, the first to expire first."""
        return sorted((r for r in self.stored.values() if _expired(r, now)), key=lambda r: r.expires_at or 0)

    def purge_expired(self, limit: int = 1000, *, now: int) -> int:
        """Answer `ResultStorage.purge_expired`."""
        gone = self.expired(now)[:limit]
        for record in gone:
            del self.stored[record.id]
        return len(gone)

    def deadlines(self) -> builtins.list[int]:
        """Return every time at which a stored outcome expires, ascending."""
        return sorted({r.expires_at for r in self.stored.values() if r.expires_at is not None})


def _expired(record: ResultRecord, now: int) -> bool:
    return record.expires_at is not None and record.expires_at <= now
