"""The result storage role on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.storage.limits import check_results
from omniq.storage.results import ResultStorage
from omniq_postgres.role import PostgresRole
from omniq_postgres.rows import RESULT_COLUMNS, columns, result_from, result_values
from omniq_postgres.texts import kept

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.result import ResultRecord

__all__ = ["PostgresResultStorage"]

_WIDTH = 8


class PostgresResultStorage(PostgresRole, ResultStorage):
    """Outcomes in the table `result`."""

    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> list[bool]:
        check_results(records, self.capabilities)
        values = columns(map(result_values, records), _WIDTH)
        ((replies,),) = await self.opened.write(
            "SELECT omniq.put_results($1, $2, $3, $4, $5, $6, $7, $8, $9)", *values, now
        )
        return list(replies)

    async def get(self, ids: Sequence[str], *, now: int | None = None) -> list[ResultRecord | None]:
        wanted = [kept(task_id) for task_id in ids]
        rows = await self.opened.read(
            f"SELECT {RESULT_COLUMNS} FROM omniq.result "
            "WHERE id = ANY ($1) AND (expires_at IS NULL OR expires_at > omniq.now_ms($2))",
            wanted,
            now,
        )
        found = {record.id: record for record in map(result_from, rows)}
        return [found.get(task_id) for task_id in ids]

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        rows = await self.opened.write(
            "DELETE FROM omniq.result WHERE id = ANY ($1) RETURNING id", [kept(task_id) for task_id in ids]
        )
        gone = {row[0] for row in rows}
        replies = []
        for task_id in map(kept, ids):
            replies.append(task_id in gone)
            gone.discard(task_id)
        return replies

    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        rows = await self.opened.read(
            f"SELECT {RESULT_COLUMNS} FROM omniq.result "
            "WHERE id > $1 AND (expires_at IS NULL OR expires_at > omniq.now_ms($2)) ORDER BY id LIMIT $3",
            "" if after is None else kept(after),
            now,
            limit,
        )
        return [result_from(row) for row in rows]

    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        rows = await self.opened.write(
            # An array, or a plan may run the limited query again for every row.
            "DELETE FROM omniq.result WHERE id = ANY (ARRAY(SELECT id FROM omniq.result "
            "WHERE expires_at <= omniq.now_ms($1) ORDER BY expires_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)) "
            "RETURNING 1",
            now,
            limit,
        )
        return len(rows)
