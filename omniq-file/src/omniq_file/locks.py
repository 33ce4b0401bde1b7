"""Locks between the processes of a host, which the system lets go of when their holder dies."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from omniq.errors import StorageError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

__all__ = ["FileLock"]


class FileLock:
    """An exclusive lock on a file, which is made and stays.

    Args:
        path: Of the file.

    Raises:
        StorageError: This system has no such locks.
    """

    def __init__(self, path: Path) -> None:
        if fcntl is None:
            raise StorageError(
                f"{path}: this system has no file locks as POSIX systems have. Use the sqlite backend, or an object "
                "store with fsspec_uri."
            )
        self._fcntl = fcntl
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock and hold it."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> None:
        """Wait for the lock."""
        self._fcntl.flock(self.descriptor, self._fcntl.LOCK_EX)

    def acquire_now(self) -> bool:
        """Take the lock if nobody has it, and tell."""
        try:
            self._fcntl.flock(self.descriptor, self._fcntl.LOCK_EX | self._fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go of the lock."""
        self._fcntl.flock(self.descriptor, self._fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, which lets go of the lock too."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
