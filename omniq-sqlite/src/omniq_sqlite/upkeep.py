"""Copy a store while it is in use, and check it for damage."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from omniq.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["back_up", "find_damage"]

_PAGES = 1000
"""Pages copied at a time; writers get in between."""

_CHECKS = {
    "SELECT count(*) FROM body WHERE seq NOT IN (SELECT seq FROM task)": "{} bodies belong to no task",
    "SELECT count(*) FROM task WHERE args IS NULL AND seq NOT IN (SELECT seq FROM body)": "{} tasks lost their body",
    "SELECT count(*) FROM task WHERE (state = 1) <> (lease_until IS NOT NULL)": "{} tasks have a lease but do not run",
    "SELECT count(*) FROM task WHERE (state > 1) <> (finished_at IS NOT NULL)": "{} tasks have an end but did not end",
    "SELECT count(*) FROM task WHERE attempts > max_attempts OR attempts > epoch": "{} tasks have impossible attempts",
}


def back_up(source: Path, destination: Path) -> None:
    """Write a consistent copy; a copy of the file itself could miss what is still in the write-ahead log.

    Raises:
        FileExistsError: There is something at the destination.
        StorageError: The copy failed; what was written of it is removed.
    """
    os.close(os.open(destination, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    original, copy = sqlite3.connect(source), sqlite3.connect(destination)
    try:
        original.backup(copy, pages=_PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    except (sqlite3.Error, OSError) as error:
        copy.close()
        destination.unlink(missing_ok=True)
        raise StorageError(f"The backup of {source} to {destination} failed: {error}. Check the disk.") from error
    finally:
        copy.close()
        original.close()


def find_damage(path: Path) -> list[str]:
    """Return what is damaged, one sentence each; reads the whole store."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        for query, sentence in _CHECKS.items():
            (count,) = connection.execute(query).fetchone()
            if count:
                found.append(sentence.format(count))
    except sqlite3.DatabaseError as error:
        found = [f"the file cannot be read: {error}"]
    finally:
        connection.close()
    return found
