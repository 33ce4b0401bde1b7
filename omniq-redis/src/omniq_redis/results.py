"""The result storage role on Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.storage.limits import check_results
from omniq.storage.results import ResultStorage
from omniq_redis.batches import in_chunks
from omniq_redis.records import STATES, result_from, result_values
from omniq_redis.role import RedisRole

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.result import ResultRecord

__all__ = ["RedisResultStorage"]

_PURGED_AT_ONCE = 1000


class RedisResultStorage(RedisRole, ResultStorage):
    """Outcomes in a hash."""

    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> list[bool]:
        check_results(records, self.capabilities)
        values = [(record.id, STATES.index(record.status), *result_values(record)) for record in records]
        return await in_chunks(self.opened, "put_results", values, now=now)

    async def get(self, ids: Sequence[str], *, now: int | None = None) -> list[ResultRecord | None]:
        found = await in_chunks(self.opened, "get_results", ids, now=now)
        return [result_from(task_id, values) if values else None for task_id, values in zip(ids, found, strict=True)]

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        return await in_chunks(self.opened, "delete_results", ids)

    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        found: list[ResultRecord] = []
        cursor: str | bytes | bool = False if after is None else after
        while len(found) < limit:
            cursor, pairs = await self.opened.run("list_results", [cursor, limit - len(found)], now=now)
            found += [result_from(task_id.decode(), values) for task_id, values in pairs]
            if cursor is False:
                break
        return found

    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        total = 0
        while total < limit:
            wanted = min(_PURGED_AT_ONCE, limit - total)
            purged: int = await self.opened.run("purge_results", wanted, now=now)
            total += purged
            if purged < wanted:
                break
        return total
