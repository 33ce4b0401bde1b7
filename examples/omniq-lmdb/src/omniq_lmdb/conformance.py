"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import lmdb

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_lmdb import plugin

__all__ = ["LmdbHarness"]


class LmdbHarness(Harness):
    """A namespace is a folder with a store in it, inside `url` or else where the system keeps temporary files."""

    backend = "lmdb"

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the store of the namespace."""
        path = self._folder(namespace) / "omniq.lmdb"
        return await open_plugin(plugin, BackendConfig(backend_type="lmdb", url=str(path)))

    async def destroy(self, namespace: str) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder(namespace))

    async def make_newer(self, namespace: str) -> None:
        """Write another number of the format."""
        with self._raw(namespace) as env, env.begin(env.open_db(b"meta"), write=True) as txn:
            txn.put(b"format", b"2")

    def _raw(self, namespace: str) -> lmdb.Environment:
        return lmdb.open(str(self._folder(namespace) / "omniq.lmdb"), subdir=False, max_dbs=1)

    def _folder(self, namespace: str) -> Path:
        return Path(self.url or tempfile.gettempdir()) / namespace
