"""Wake waiters of every process on the host, by datagrams to Unix sockets beside the database file.

A handle that waits binds a socket in `<database>-wake/`, named after what it waits for. Whoever commits sends one byte
to each socket of the kinds that its commit may concern. Datagrams carry no data and may be lost: a waiter also looks at
`PRAGMA data_version` once in a while.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

__all__ = ["DONE", "EVENTS", "WORK", "Doorbell", "ring"]

WORK, DONE, EVENTS = "w", "d", "e"
"""What a commit may have brought: claimable work, an ended task, an event."""

_LONG = 70
_AVAILABLE = hasattr(socket, "AF_UNIX") and os.name == "posix"


class Doorbell:
    """One handle's socket for one kind; `on_ring` is called in the loop for every burst of datagrams."""

    def __init__(self, folder: Path, kind: str, loop: asyncio.AbstractEventLoop, on_ring: Callable[[], None]) -> None:
        self._folder = folder
        self.name = f"{kind}-{os.getpid()}-{secrets.token_hex(4)}"
        self._loop = loop
        self._on_ring = on_ring
        self._socket: socket.socket | None = None

    @property
    def is_push(self) -> bool:
        """Whether other processes can ring it."""
        return self._socket is not None

    def hang(self) -> None:
        """Bind the socket and listen; without Unix sockets, or in a folder that cannot have one, do nothing."""
        if not _AVAILABLE or self._socket is not None:
            return
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bell.settimeout(0)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with _short(self._folder) as folder:
                bell.bind(f"{folder}/{self.name}")
        except OSError:
            bell.close()
            return
        self._socket = bell
        self._loop.add_reader(bell.fileno(), self._drain)

    def take_down(self) -> None:
        """Stop listening and remove the socket."""
        if self._socket is None:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._socket = None
        with contextlib.suppress(OSError):
            (self._folder / self.name).unlink()
            self._folder.rmdir()  # fails while others wait, as it should

    def _drain(self) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                pass
        self._on_ring()


def ring(folder: Path, kinds: str, own: frozenset[str]) -> None:
    """Ring every doorbell of these kinds but one's own; remove those whose process has died."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - once a commit; a Path for each name costs more than the listing
    except OSError:
        return
    names = [name for name in names if name[0] in kinds and name not in own]
    if not names:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, _short(folder) as short:
        sender.settimeout(0)
        for name in names:
            try:
                sender.sendto(b"!", f"{short}/{name}")
            except ConnectionRefusedError:
                with contextlib.suppress(OSError):
                    (folder / name).unlink()
            except OSError:
                continue  # its buffer is full, so it is about to wake anyway; or it is gone


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Give a path of the folder that fits into a socket address, which holds about 100 bytes."""
    if len(os.fsencode(folder)) < _LONG or not Path("/proc/self/fd").exists():
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
