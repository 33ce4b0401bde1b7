"""Wake waiters of every process on the host, by datagrams to Unix sockets in a folder of the store.

A process that waits binds a socket, named after what it waits for. Whoever appended sends one byte to each socket of
the kinds that its entry may concern. Datagrams carry no data and may be lost: a waiter also looks at the log once in a
while.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DONE", "EVENTS", "WORK", "Bells"]

WORK, DONE, EVENTS = "w", "d", "e"
"""What an entry may have brought: claimable work, an ended task, an event."""

_LONG = 70
_AVAILABLE = hasattr(socket, "AF_UNIX") and os.name == "posix"


class Bells:
    """The sockets of one process, one for each kind.

    Args:
        folder: Where the sockets of all processes are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hung: dict[str, tuple[socket.socket, str]] = {}
        self._own: frozenset[str] = frozenset()
        self._sender: socket.socket | None = None

    def hang(self, kind: str) -> int | None:
        """Listen for a kind; return the file descriptor, None where there are no such sockets."""
        if kind in self._hung:
            return self._hung[kind][0].fileno()
        if not _AVAILABLE:
            return None
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bell.setblocking(False)  # noqa: FBT003 - its signature
        name = f"{kind}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with _short(self._folder) as folder:
                bell.bind(f"{folder}/{name}")
        except OSError:
            bell.close()
            return None
        self._hung[kind] = bell, name
        self._own = frozenset(name for _, name in self._hung.values())
        return bell.fileno()

    def drain(self) -> None:
        """Forget the rings so far."""
        for bell, _ in self._hung.values():
            with contextlib.suppress(OSError):
                while bell.recv(16):
                    pass

    def take_down(self) -> None:
        """Stop listening."""
        for bell, name in self._hung.values():
            bell.close()
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()
        self._hung.clear()
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def ring(self, kinds: str) -> None:
        """Ring every bell of these kinds but one's own; remove those whose process has died."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - a Path for each name costs more than the listing
        except OSError:
            return
        names = [name for name in names if name[0] in kinds and name not in self._own]
        if not names:
            return
        if self._sender is None:
            self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sender.setblocking(False)  # noqa: FBT003 - its signature
        with _short(self._folder) as folder:
            for name in names:
                try:
                    self._sender.sendto(b"!", f"{folder}/{name}")
                except ConnectionRefusedError:
                    with contextlib.suppress(OSError):
                        (self._folder / name).unlink()
                except OSError:
                    continue  # its buffer is full, so it is about to wake anyway; or it is gone


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Give a path of the folder that fits into a socket address, which holds about 100 bytes."""
    if len(os.fsencode(folder)) < _LONG or not os.path.exists("/proc/self/fd"):  # noqa: PTH110 - on the hot path
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
