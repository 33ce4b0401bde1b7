"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_sqlite import plugin
from omniq_sqlite.schema import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SQLiteFullHarness", "SQLiteHarness"]

_GOLDEN = Path(__file__).parents[2] / "golden"  # in the source tree, and not in the wheel
_SAVED = "store.sqlite3"
_STORED = {
    "tasks": "SELECT id FROM task",
    "results": "SELECT id FROM result",
    "schedules": "SELECT id FROM schedule",
    "events": "SELECT task || '/' || version FROM event",
    "outbox": "SELECT task || '/' || version FROM outbox",
    "bodies": "SELECT seq FROM body",
    "paused queues": "SELECT queue FROM paused",
}


class SQLiteHarness(Harness):
    """A namespace is a folder with a database in it."""

    backend = "sqlite"
    options: ClassVar[Mapping[str, str]] = {}
    golden = _GOLDEN if _GOLDEN.is_dir() else None

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the database of the namespace."""
        path = self.folder(namespace)
        path.mkdir(exist_ok=True)
        url = str(path / "omniq.db")
        return await open_plugin(plugin, BackendConfig(backend_type="sqlite", url=url, options=self.options))

    async def destroy(self, namespace: str) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder(namespace))

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Read the tables."""
        with closing(sqlite3.connect(self.folder(namespace) / "omniq.db")) as connection:
            return {name: [str(row[0]) for row in connection.execute(query)] for name, query in _STORED.items()}

    async def save(self, namespace: str, folder: Path) -> None:
        """Copy the database, and its log if there is one."""
        _copy(self.folder(namespace) / "omniq.db", folder / _SAVED)

    async def restore(self, namespace: str, folder: Path) -> None:
        """Copy them back."""
        self.folder(namespace).mkdir()
        _copy(folder / _SAVED, self.folder(namespace) / "omniq.db")

    async def make_newer(self, namespace: str) -> None:
        """Raise the numbers of the format, and choose another journal, as a newer version may."""
        with closing(sqlite3.connect(self.folder(namespace) / "omniq.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
            connection.execute("UPDATE meta SET value = ? WHERE key = 'min_writer'", (FORMAT + 1,))


class SQLiteFullHarness(SQLiteHarness):
    """Stores that survive a crash of the system."""

    options: ClassVar[Mapping[str, str]] = {"synchronous": "FULL"}


def _copy(source: Path, destination: Path) -> None:
    for ending in ("", "-wal", "-journal"):
        beside = source.with_name(source.name + ending)
        if beside.exists():
            shutil.copyfile(beside, destination.with_name(destination.name + ending))
