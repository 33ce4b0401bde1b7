"""Move the write-ahead log back into the database file.

SQLite before 3.51.3 can corrupt a database if a checkpoint runs while another connection's commit resets the log. These
checkpoints are of the TRUNCATE kind, which holds SQLite's write lock, so no commit can come in between.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checkpointer"]

THRESHOLD = 16 * 1024 * 1024
"""Bytes of log at which a checkpoint is worth its fsync."""
LOOK_EVERY = 64
"""Commits between two looks at the size of the log."""


class Checkpointer:
    """Decides after each commit of one writer whether to checkpoint."""

    def __init__(self, path: Path, *, enabled: bool) -> None:
        self._log = path.with_name(f"{path.name}-wal")
        self._enabled = enabled
        self._commits = 0
        self._threshold = THRESHOLD

    def after_commit(self, connection: sqlite3.Connection) -> None:
        """Checkpoint if the log has grown past the threshold; a long reader only puts it off."""
        self._commits += 1
        if not self._enabled or self._commits % LOOK_EVERY:
            return
        try:
            size = self._log.stat().st_size
        except OSError:
            return
        if size < self._threshold:
            return
        (timeout,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute("PRAGMA busy_timeout = 100")
        try:
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            busy = 1
        finally:
            connection.execute(f"PRAGMA busy_timeout = {timeout}")
        self._threshold = size + THRESHOLD if busy else THRESHOLD
