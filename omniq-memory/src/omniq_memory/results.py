"""The result storage role in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.storage.limits import check_results
from omniq.storage.results import ResultStorage
from omniq_memory.handle import MemoryHandle

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.result import ResultRecord

__all__ = ["MemoryResultStorage"]


class MemoryResultStorage(MemoryHandle, ResultStorage):
    """Outcomes in a dict."""

    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> builtins.list[bool]:
        state = self._state
        check_results(records, self._capabilities)
        with state.lock:
            at = state.clock.now() if now is None else now
            answers = [state.results.put(record, at) for record in records]
            state.results.tidy()
            return answers

    async def get(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[ResultRecord | None]:
        state = self._state
        with state.lock:
            at = state.clock.now() if now is None else now
            return [state.results.get(task_id, at) for task_id in ids]

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        state = self._state
        with state.lock:
            return [state.results.delete(task_id) for task_id in ids]

    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        state = self._state
        with state.lock:
            return state.results.list(after, limit, state.clock.now() if now is None else now)

    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        state = self._state
        with state.lock:
            return state.results.purge_expired(limit, state.clock.now() if now is None else now)
