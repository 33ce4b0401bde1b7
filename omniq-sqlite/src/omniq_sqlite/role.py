"""What the four roles on SQLite share: one database handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import StoreClosedError
from omniq.storage.role import Storage

if TYPE_CHECKING:
    from omniq.storage.capabilities import Capabilities
    from omniq_sqlite.connection import Database

__all__ = ["SQLiteRole"]


class SQLiteRole(Storage):
    """A role that uses a database which other roles of the same configuration use too."""

    def __init__(self, database: Database) -> None:
        self._shared = database
        self._open = False

    async def open(self) -> None:
        if not self._open:
            await self._shared.open()
            self._open = True

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._shared.stir()
            await self._shared.close()

    @property
    def capabilities(self) -> Capabilities:
        return self._shared.capabilities

    @property
    def _database(self) -> Database:
        """The database, which may be open for other roles when this one is closed.

        Raises:
            StoreClosedError: This role is not open.
        """
        if not self._open:
            raise StoreClosedError(f"The SQLite store {self._shared.path} is not open; open it before using it.")
        return self._shared
