"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_memory import plugin
from omniq_memory.options import shared_state
from omniq_memory.queue_index import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MemoryHarness"]


class MemoryHarness(Harness):
    """A namespace is a configuration: its handles share the data."""

    backend = "memory"

    def __init__(self, url: str | None = None) -> None:
        super().__init__(url)
        self._configs: dict[str, BackendConfig] = {}

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the data of the namespace."""
        config = self._configs.setdefault(namespace, BackendConfig(backend_type="memory"))
        return await open_plugin(plugin, config)

    async def destroy(self, namespace: str) -> None:
        """Forget the namespace."""
        del self._configs[namespace]

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Read what the handles share."""
        state = shared_state(self._configs[namespace])
        boards = (state.tasks.work, state.tasks.done, state.log.board)
        events = state.log.read(0, state.log.end, NEVER, None, desc=False)
        outbox = state.tasks.outbox.read(NEVER, NEVER)
        return {
            "tasks": list(state.tasks.records),
            "results": list(state.results.outcomes),
            "schedules": list(state.schedules),
            "events": [f"{event.task_id}/{event.version}" for event in events],
            "outbox": [f"{event.task_id}/{event.version}" for event in outbox],
            "queues": list(state.tasks.queues),
            "unique keys": [f"{queue}/{key}" for queue, key in state.tasks.holders],
            "waiting": [key for board in boards for key in board.waiting],
        }

    def __getstate__(self) -> dict[str, Any]:
        # Another process has none of the data.
        return {**super().__getstate__(), "_configs": {}}
