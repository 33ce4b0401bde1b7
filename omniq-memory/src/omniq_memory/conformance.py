"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_memory import plugin

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
