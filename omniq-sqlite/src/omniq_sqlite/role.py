"""What the four roles on SQLite share: one database handle."""

from __future__ import annotations

from omniq.storage.shared import SharedRole
from omniq_sqlite.connection import Database

__all__ = ["SQLiteRole"]


class SQLiteRole(SharedRole[Database]):
    """A role that uses a database which other roles of the same configuration use too."""

    def leaving(self) -> None:
        self.shared.stir()
