"""What the four roles on SQLite share: one database handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.storage.role import Storage

if TYPE_CHECKING:
    from omniq.storage.capabilities import Capabilities
    from omniq_sqlite.connection import Database

__all__ = ["SQLiteRole"]


class SQLiteRole(Storage):
    """A role that uses a database which other roles of the same configuration use too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open = False

    async def open(self) -> None:
        if not self._open:
            await self._database.open()
            self._open = True

    async def close(self) -> None:
        if self._open:
            self._open = False
            await self._database.close()

    @property
    def capabilities(self) -> Capabilities:
        return self._database.capabilities
