"""The result storage role on LMDB."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import attrs

from omniq.storage.limits import check_results
from omniq.storage.results import ResultStorage
from omniq_lmdb.codec import digest, dump_result, load_result, name_key, number
from omniq_lmdb.role import LmdbRole
from omniq_lmdb.store import host_time

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.result import ResultRecord
    from omniq_lmdb.store import Transaction

__all__ = ["LmdbResultStorage", "put_result"]


def put_result(tx: Transaction, record: ResultRecord, now: int) -> bool:
    """Store an outcome unless a later one is there, and tell whether it is the stored one now."""
    old = _stored(tx, record.id)
    if old is not None and old.order > record.order:
        return False
    if old is not None:
        _remove(tx, old)
    expires_at = None if record.ttl_ms is None else now + record.ttl_ms
    tx.put("results", name_key(record.id), dump_result(attrs.evolve(record, stored_at=now, expires_at=expires_at)))
    if expires_at is not None:
        tx.put("result_expiry", number(expires_at) + digest(record.id), name_key(record.id))
    return True


class LmdbResultStorage(LmdbRole, ResultStorage):
    """Outcomes by id, and the ids by the time when they expire."""

    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> builtins.list[bool]:
        check_results(records, self.capabilities)
        return await self._write(lambda tx: [put_result(tx, record, _at(now)) for record in records])

    async def get(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[ResultRecord | None]:
        def run(tx: Transaction) -> list[ResultRecord | None]:
            at = _at(now)
            found = (_stored(tx, task_id) for task_id in ids)
            return [record if record is not None and _lasts(record, at) else None for record in found]

        return await self._read(run)

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        def run(tx: Transaction, task_id: str) -> bool:
            record = _stored(tx, task_id)
            return record is not None and _remove(tx, record)

        return await self._write(lambda tx: [run(tx, task_id) for task_id in ids])

    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        def run(tx: Transaction) -> list[ResultRecord]:
            at, start = _at(now), b"" if after is None else name_key(after) + b"\0"
            found = (load_result(value) for _, value in tx.scan("results", start))
            return list(islice((record for record in found if _lasts(record, at)), max(limit, 0)))

        return await self._read(run)

    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        def run(tx: Transaction) -> int:
            due = list(islice(tx.scan("result_expiry", stop=number(_at(now) + 1)), max(limit, 0)))
            for key, task_id in due:
                tx.delete("result_expiry", key)
                tx.delete("results", task_id)
            return len(due)

        return await self._write(run)


def _at(now: int | None) -> int:
    return host_time() if now is None else now


def _lasts(record: ResultRecord, now: int) -> bool:
    return record.expires_at is None or record.expires_at > now


def _stored(tx: Transaction, task_id: str) -> ResultRecord | None:
    data = tx.get("results", name_key(task_id))
    return None if data is None else load_result(data)


def _remove(tx: Transaction, record: ResultRecord) -> bool:
    if record.expires_at is not None:
        tx.delete("result_expiry", number(record.expires_at) + digest(record.id))
    return tx.delete("results", name_key(record.id))
