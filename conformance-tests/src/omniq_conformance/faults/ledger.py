"""What a process did and was told, in a file that its end at any moment leaves intact.

The file is mapped into memory: a line is there as soon as it is copied, and no system call that a fault could hit is
made for it.
"""

from __future__ import annotations

import json
import mmap
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Ledger", "Line"]

_SIZE = 1 << 20

Line = list[Any]
"""What happened, and details of it."""


class Ledger:
    """An append-only list of lines.

    Args:
        path: The file; made if it is not there.
        size: How many bytes it has room for, if it is made.

    Attributes:
        clock: Gives the time for lines that have one: the host's in seconds, unless replaced.
    """

    def __init__(self, path: Path, size: int = _SIZE) -> None:
        if not path.exists():
            with path.open("xb") as file:
                file.truncate(size)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.clock: Callable[[], float] = time.time
        self._end = self._map[:].partition(b"\0")[0].rfind(b"\n") + 1

    def note(self, what: str, *details: Any) -> None:
        """Append a line."""
        line = json.dumps([what, *details]).encode() + b"\n"
        self._map[self._end : self._end + len(line)] = line
        self._end += len(line)

    def lines(self) -> list[Line]:
        """Return every line that is complete."""
        text, _, _ = self._map[:].partition(b"\0")
        return [json.loads(line) for line in text.split(b"\n")[:-1]]

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
