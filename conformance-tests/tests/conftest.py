from __future__ import annotations

import pytest

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_memory import plugin


class MemoryHarness(Harness):
    backend = "memory"

    def __init__(self) -> None:
        self._configs: dict[str, BackendConfig] = {}

    async def open(self, namespace: str) -> OpenedStores:
        config = self._configs.setdefault(namespace, BackendConfig(backend_type="memory"))
        return await open_plugin(plugin, config)

    async def destroy(self, namespace: str) -> None:
        del self._configs[namespace]


@pytest.fixture(scope="session")
def harness():
    return MemoryHarness()
