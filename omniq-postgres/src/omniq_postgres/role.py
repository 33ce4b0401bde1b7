"""What the four roles on PostgreSQL share: one database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import StoreClosedError
from omniq.storage.role import Storage

if TYPE_CHECKING:
    from omniq.storage.capabilities import Capabilities
    from omniq_postgres.database import Database

__all__ = ["PostgresRole"]


class PostgresRole(Storage):
    """A role in a database that other roles of the same configuration use too.

    Attributes:
        database: The connections.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._open = False

    async def open(self) -> None:
        if not self._open:
            await self.database.open()
            self._open = True

    async def close(self) -> None:
        if self._open:
            self._open = False
            self.database.bell.wake()
            await self.database.close()

    @property
    def _opened(self) -> Database:
        """The connections, if this role may use them.

        Raises:
            StoreClosedError: The role was closed, or the process forked.
        """
        if not self._open:
            raise StoreClosedError("This storage is not open. Open it first: async with app, or await storage.open().")
        self.database.check_open()
        return self.database

    @property
    def capabilities(self) -> Capabilities:
        return self.database.capabilities
