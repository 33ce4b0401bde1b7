"""What the four roles on PostgreSQL share: one database."""

from __future__ import annotations

from omniq.storage.shared import SharedRole
from omniq_postgres.database import Database

__all__ = ["PostgresRole"]


class PostgresRole(SharedRole[Database]):
    """A role in a database that other roles of the same configuration use too."""

    def leaving(self) -> None:
        self.shared.bell.wake()
