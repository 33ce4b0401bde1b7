"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_sqlite import plugin

__all__ = ["SQLiteHarness"]


class SQLiteHarness(Harness):
    """A namespace is a folder with a database in it, inside `url` or else where the system keeps temporary files."""

    backend = "sqlite"

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the database of the namespace."""
        path = self._folder(namespace)
        path.mkdir(exist_ok=True)
        return await open_plugin(plugin, BackendConfig(backend_type="sqlite", url=str(path / "omniq.db")))

    async def destroy(self, namespace: str) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder(namespace))

    def _folder(self, namespace: str) -> Path:
        if self.url is not None:
            return Path(self.url) / namespace
        # The suite makes thousands of stores: in memory, where the system has a place for that.
        memory = Path("/dev/shm")  # noqa: S108 - the folder's name is the namespace's
        return (memory if memory.is_dir() else Path(tempfile.gettempdir())) / namespace
