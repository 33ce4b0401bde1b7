"""Mutants of the SQLite backend: opening, closing and forking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.storage.shared import Shared, SharedRole
from omniq_conformance.mutants.mutant import Mutants
from omniq_conformance.mutants.sqlite_values import statement
from omniq_sqlite import schema
from omniq_sqlite.connection import Database
from omniq_sqlite.lock import WriteLock
from omniq_sqlite.role import SQLiteRole

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

__all__ = ["MUTANTS"]

MUTANTS = Mutants("sqlite")


def _at_open(forget: str) -> Callable[[Any], Any]:
    """Change the store whenever it is opened."""

    def change(original: Any) -> Any:
        def prepare(self: Database) -> sqlite3.Connection:
            connection: sqlite3.Connection = original(self)
            connection.execute(forget)
            return connection

        return prepare

    return change


for _name, _forget in (
    ("opening resumes every queue", "DELETE FROM paused"),
    ("opening forgets the nonces", "UPDATE task SET nonce = ''"),
    ("opening forgets the outbox", "DELETE FROM outbox"),
    ("opening recovers what runs", "UPDATE task SET state = 0, lease_until = NULL WHERE state = 1"),
):
    MUTANTS.add(_name, "OQ-Q-0901", Database, "_prepare", _at_open(_forget))

for _table, _cases in (
    ("task (\n    seq", "OQ-Q-0902"),
    ("event (\n    pos", "OQ-E-0802"),
    ("event (\n    pos", "OQ-E-0901"),
):
    _column = f"TABLE {_table} INTEGER PRIMARY KEY"
    MUTANTS.add(
        f"numbers are used again {_cases}",
        _cases,
        schema,
        "_statements",
        statement(f"{_column} AUTOINCREMENT", _column),
    )

MUTANTS.edited("a closed role goes on", "OQ-X-0901", SharedRole, "close", ("if self.is_open:", "if False:"))
MUTANTS.edited(
    "closing leaves the lock file open", "OQ-X-0903", WriteLock, "close", ("os.close(self._descriptor)", "pass")
)
MUTANTS.edited(
    "two openings at once count twice",
    "OQ-X-0957",
    Shared,
    "open",
    ("self._users.add(user)", "self._users.add(object() if user in self._users else user)"),
)
MUTANTS.add(
    "a fork is not noticed",
    "OQ-X-0904",
    Shared,
    "is_open",
    lambda _: property(lambda shared: shared._is_connected),  # noqa: SLF001 - as its own code
)
MUTANTS.add(
    "a closed role goes on while others are open",
    "OQ-X-0905",
    SQLiteRole,
    "opened",
    lambda _: property(lambda role: role.shared),
)
