"""Let the writers of a host queue up fairly.

SQLite's own busy handler sleeps for up to 100 ms at a time, so that one process can starve the others. A file lock
around every write transaction is handed over at once. SQLite's own locking keeps the store correct without it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not a POSIX system: SQLite's busy handler alone
    fcntl = None

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

__all__ = ["WriteLock"]


class WriteLock:
    """A reusable context manager that holds the file lock `<database>-lock`."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-lock")
        self._descriptor = -1

    def __enter__(self) -> None:
        if fcntl is None:
            return
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *exc: object) -> None:
        if fcntl is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file; it stays, because removing it could split the queue in two."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
