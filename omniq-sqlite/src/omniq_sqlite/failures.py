"""What each failure of SQLite means to a caller; the only such table."""

from __future__ import annotations

import sqlite3

from omniq.errors import ConnectionLostError, OmniQError, OutcomeUnknownError, StorageError, StoreFormatError

__all__ = ["mapped"]


def mapped(error: BaseException) -> BaseException:
    """Return the OmniQ error for an error that was raised inside a transaction; others come back unchanged."""
    if isinstance(error, OmniQError) or not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind, remedy = _KINDS.get(code, (StorageError, "Nothing was changed."))
    mapped_error = kind(f"SQLite: {error}. {remedy}")
    mapped_error.__cause__ = error
    return mapped_error


_KINDS: dict[int, tuple[type[StorageError], str]] = {
    sqlite3.SQLITE_BUSY: (
        ConnectionLostError,
        "Another process held the write lock for longer than the option `timeout`; try again.",
    ),
    sqlite3.SQLITE_LOCKED: (ConnectionLostError, "Try again."),
    sqlite3.SQLITE_CANTOPEN: (ConnectionLostError, "Check that the folder exists and may be written to."),
    sqlite3.SQLITE_READONLY: (StorageError, "The file or its folder may not be written to; check their permissions."),
    sqlite3.SQLITE_FULL: (StorageError, "The disk is full; nothing was changed. Free some space and try again."),
    sqlite3.SQLITE_IOERR: (OutcomeUnknownError, "The disk reported an error, so it is unknown what was written."),
    sqlite3.SQLITE_CORRUPT: (
        StoreFormatError,
        "The file is damaged; check it with `omniq doctor` and restore a backup.",
    ),
    sqlite3.SQLITE_NOTADB: (StoreFormatError, "The file is not an SQLite database; give OmniQ a file of its own."),
}
