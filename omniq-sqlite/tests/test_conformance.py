from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, make_suite, open_plugin
from omniq_sqlite import plugin


class SQLiteHarness(Harness):
    """A namespace is a folder with a database in it."""

    backend = "sqlite"

    async def open(self, namespace: str) -> OpenedStores:
        path = self._folder(namespace)
        path.mkdir(exist_ok=True)
        return await open_plugin(plugin, BackendConfig(backend_type="sqlite", url=str(path / "omniq.db")))

    async def destroy(self, namespace: str) -> None:
        shutil.rmtree(self._folder(namespace))

    def _folder(self, namespace: str) -> Path:
        # The suite makes thousands of stores: in memory, where the system has a place for that.
        memory = Path("/dev/shm")
        return (memory if memory.is_dir() else Path(tempfile.gettempdir())) / namespace


TestConformance = make_suite(SQLiteHarness())
