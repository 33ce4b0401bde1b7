"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_lmdb import plugin
from omniq_lmdb.codec import load_event, load_head, number_of
from omniq_lmdb.tasks import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LmdbHarness"]

_FILE = "omniq.lmdb"
_GOLDEN = Path(__file__).parents[2] / "golden"  # in the source tree, and not in the wheel


class LmdbHarness(Harness):
    """A namespace is a folder with a store in it.

    Only `open` and `destroy` have to be there; each of the others lets the suite see more.
    """

    backend = "lmdb"
    golden = _GOLDEN if _GOLDEN.is_dir() else None

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the store of the namespace."""
        path = self.folder(namespace) / _FILE
        return await open_plugin(plugin, BackendConfig(backend_type="lmdb", url=str(path)))

    async def destroy(self, namespace: str) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder(namespace))

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Read a copy of the tables; a process must not open one file twice."""
        with tempfile.TemporaryDirectory() as folder:
            await self.save(namespace, Path(folder))
            tables = _tables(Path(folder) / _FILE)
        return {
            "tasks": [load_head(value, UNREADABLE).id for value in tables["heads"].values()],
            "results": [key.decode() for key in tables["results"]],
            "schedules": [key.decode() for key in tables["schedules"]],
            **{
                kind: [f"{event.task_id}/{event.version}" for event in map(load_event, tables[kind].values())]
                for kind in ("events", "outbox")
            },
            "bodies": [str(number_of(key)) for key in tables["bodies"]],
            **{kind: [key.hex() for key in tables[kind]] for kind in _INDEXES},
        }

    async def save(self, namespace: str, folder: Path) -> None:
        """Copy the file."""
        shutil.copyfile(self.folder(namespace) / _FILE, folder / _FILE)

    async def restore(self, namespace: str, folder: Path) -> None:
        """Copy it back."""
        self.folder(namespace).mkdir()
        shutil.copyfile(folder / _FILE, self.folder(namespace) / _FILE)

    async def make_newer(self, namespace: str) -> None:
        """Write another number of the format."""
        with lmdb.open(str(self.folder(namespace) / _FILE), subdir=False, max_dbs=1) as env:
            meta = env.open_db(b"meta")
            with env.begin(meta, write=True) as txn:
                txn.put(b"format", b"2")


_INDEXES = (
    *("ids", "ready", "leases", "expiring", "unique", "ended", "paused", "owed"),
    *("result_expiry", "event_ids", "event_times", "task_events"),
)


def _tables(path: Path) -> dict[str, dict[bytes, bytes]]:
    with lmdb.open(str(path), subdir=False, max_dbs=32, lock=False) as env, env.begin() as txn:
        names = [key for key, _ in txn.cursor()]
        return {name.decode(): dict(txn.cursor(env.open_db(name, txn=txn, create=False))) for name in names}
