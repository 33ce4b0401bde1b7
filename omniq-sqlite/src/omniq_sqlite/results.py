"""The result storage role on SQLite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.limits import check_results
from omniq.storage.results import ResultStorage
from omniq_sqlite.connection import host_time
from omniq_sqlite.ledger import put_results
from omniq_sqlite.role import SQLiteRole
from omniq_sqlite.rows import decoded

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

__all__ = ["SQLiteResultStorage"]

_COLUMNS = "id, seq, epoch, status, codec, value, error, ttl_ms, stored_at, expires_at"
_UNEXPIRED = "(expires_at IS NULL OR expires_at > :now)"


class SQLiteResultStorage(SQLiteRole, ResultStorage):
    """Outcomes in the table `result`."""

    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> list[bool]:
        check_results(records, self.capabilities)
        return await self.opened.write(
            lambda connection: put_results(connection, records, host_time() if now is None else now)
        )

    async def get(self, ids: Sequence[str], *, now: int | None = None) -> list[ResultRecord | None]:
        rows = await self.opened.read(
            f"SELECT {_COLUMNS} FROM result WHERE id IN (SELECT value FROM json_each(:ids)) AND {_UNEXPIRED}",
            {"ids": json.dumps(list(ids)), "now": host_time() if now is None else now},
        )
        found = {row[0]: _result(row) for row in rows}
        return [found.get(task_id) for task_id in ids]

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        return await self.opened.write(
            lambda connection: [
                connection.execute("DELETE FROM result WHERE id = ?", (task_id,)).rowcount > 0 for task_id in ids
            ]
        )

    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        rows = await self.opened.read(
            f"SELECT {_COLUMNS} FROM result WHERE (:after IS NULL OR id > :after) AND {_UNEXPIRED} "
            "ORDER BY id LIMIT :limit",
            {"after": after, "limit": limit, "now": host_time() if now is None else now},
        )
        return [_result(row) for row in rows]

    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        return await self.opened.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM result WHERE id IN "
                    "(SELECT id FROM result WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
                    (host_time() if now is None else now, limit),
                ).rowcount
            )
        )


def _result(row: Sequence[Any]) -> ResultRecord:
    task_id, seq, epoch, status, codec, value, error, ttl_ms, stored_at, expires_at = row
    return ResultRecord(
        id=task_id,
        seq=seq,
        epoch=epoch,
        status=TaskStatus(status),
        value=None if value is None else decoded(value),
        codec=codec,
        error=error,
        ttl_ms=ttl_ms,
        stored_at=stored_at,
        expires_at=expires_at,
    )
