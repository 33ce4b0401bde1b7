"""Create the schema, migrate it, and refuse a store that this version cannot work with."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from omniq.errors import StoreFormatError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["APPLICATION_ID", "FORMAT", "check_format", "migrate"]

APPLICATION_ID = 0x4F4D4E51
"""`OMNQ`; `file omniq.db` shows it."""
FORMAT = 1
"""The newest migration; kept in `PRAGMA user_version`."""
MIN_READER = 1
MIN_WRITER = 1

_FORMAT = """
SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), count(*)
FROM sqlite_master
"""
"""One statement, so that what another process commits meanwhile is seen wholly or not at all."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an empty or older store to this version's format, in one transaction; safe with several processes.

    Raises:
        StoreFormatError: The file is another program's, or a newer OmniQ has changed its format.
    """
    if check_format(connection, path) == FORMAT:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(check_format(connection, path) + 1, FORMAT + 1):
            for statement in _statements(number):
                connection.execute(statement)
        connection.executemany(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
            [("format", FORMAT), ("min_reader", MIN_READER), ("min_writer", MIN_WRITER)],
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check_format(connection: sqlite3.Connection, path: Path) -> int:
    """Return the number of the newest migration that the store has, 0 for an empty file, and change nothing.

    Raises:
        StoreFormatError: The file is another program's, or a newer OmniQ has changed its format.
    """
    application, stored, tables = connection.execute(_FORMAT).fetchone()
    if application != APPLICATION_ID and (application or stored or tables):
        msg = (
            f"{path} is an SQLite file of another program (application_id {application:#x}, {tables} tables), "
            "not an OmniQ store. Give OmniQ a file of its own."
        )
        raise StoreFormatError(msg)
    if stored > FORMAT:
        (needed,) = connection.execute("SELECT value FROM meta WHERE key = 'min_writer'").fetchone() or (stored,)
        if int(needed) > FORMAT:
            msg = (
                f"{path} has format {stored}, which needs a writer of at least format {needed}; this omniq-sqlite "
                f"writes format {FORMAT}. Upgrade with: pip install --upgrade omniq-sqlite"
            )
            raise StoreFormatError(msg)
        return FORMAT
    return int(stored)


def _statements(number: int) -> list[str]:
    (script,) = [
        entry
        for entry in files("omniq_sqlite").joinpath("migrations").iterdir()
        if entry.name.startswith(f"{number:04}_")
    ]
    return [part for part in script.read_text("utf-8").split(";\n") if part.strip()]
