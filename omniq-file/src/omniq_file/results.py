"""The result storage role on files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.storage.limits import check_results
from omniq.storage.results import ResultStorage
from omniq_file.machine.results import put_result
from omniq_file.machine.stored import StoredResult
from omniq_file.payloads import Outgoing, values_of
from omniq_file.role import FileRole

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.result import ResultRecord
    from omniq_file.machine.transaction import Transaction

__all__ = ["FileResultStorage"]

_TRIES = 3


class FileResultStorage(FileRole, ResultStorage):
    """Outcomes by id; large values are blobs of their own."""

    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> builtins.list[bool]:
        store = self._check_open()
        check_results(records, store.capabilities)
        outgoing = Outgoing(store.engine)
        stored = [each for record in records if (each := outgoing.result(record)) is not None]
        await outgoing.write()
        return await self._ask(
            lambda tx: [put_result(tx, record) for record in stored], now=now, writes=True, blobs=outgoing.names
        )

    async def get(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[ResultRecord | None]:
        def run(tx: Transaction) -> list[ResultRecord | None]:
            found = (tx.view.results.by_id.get(task_id) for task_id in ids)
            return [record if record is not None and _lasts(record, tx.now) else None for record in found]

        for _ in range(_TRIES):  # a value is removed when another takes its place
            found = await self._ask(run, now=now)
            values = await values_of(self._check_open().engine, found)
            if all(type(record) is not StoredResult or record.blob in values for record in found):
                break
        return [record.whole(values.get(record.blob)) if type(record) is StoredResult else record for record in found]

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        def run(tx: Transaction, task_id: str) -> bool:
            is_there = task_id in tx.view.results.by_id
            tx.drop_results([task_id] * is_there)
            return is_there

        return await self._ask(lambda tx: [run(tx, task_id) for task_id in ids], writes=True)

    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        found = await self._ask(lambda tx: tx.view.results.page(after, limit, tx.now), now=now)
        values = await values_of(self._check_open().engine, found)
        return [record.whole(values.get(record.blob)) if type(record) is StoredResult else record for record in found]

    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        def run(tx: Transaction) -> int:
            gone = tx.view.results.expired(limit, tx.now)
            tx.drop_results(gone)
            return len(gone)

        return await self._ask(run, now=now, writes=True)


def _lasts(record: ResultRecord, now: int) -> bool:
    return record.expires_at is None or record.expires_at > now
