"""A server that somebody else runs: it can be used and asked for its version, and nothing else."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote, urlsplit

from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

__all__ = ["GivenServer", "read_until"]

_TIMEOUT = 5.0


class GivenServer(Server):
    """The server at an url.

    Attributes:
        kind: Which kind it is.
        url: Where it is.
        source: Who gave the url, for messages.
    """

    is_private = False

    def __init__(self, kind: str, title: str, url: str, source: str) -> None:
        self.kind = kind  # type: ignore[misc] # one class for every kind
        self.url = url
        self.source = source
        self._title = title

    @property
    def version(self) -> str:
        """Product and version; only the product if the server does not tell without more of a login."""
        try:
            address = urlsplit(self.url)
            number = _ASK[self.kind](address)
        except (OSError, ValueError, LookupError):
            number = ""
        return f"{self._title} {number}".strip()

    def kill(self) -> None:
        """Refuse."""
        self._refuse("killed")

    def restart(self) -> None:
        """Refuse."""
        self._refuse("restarted")

    def pause(self) -> None:
        """Refuse."""
        self._refuse("paused")

    def resume(self) -> None:
        """Refuse."""
        self._refuse("resumed")

    def stop(self) -> None:
        """Leave it as it is."""

    def _refuse(self, what: str) -> NoReturn:
        msg = (
            f"The {self._title} of {self.source} is not the suite's own and cannot be {what}. "
            f"Without {self.source} the suite starts one itself."
        )
        raise UnverifiedError(msg)


def _connect(address: SplitResult, default_port: int) -> socket.socket:
    return socket.create_connection((address.hostname or "127.0.0.1", address.port or default_port), _TIMEOUT)


def _ask_redis(address: SplitResult) -> str:
    with _connect(address, 6379) as connection:
        if address.password:
            words = ["AUTH", *filter(None, (unquote(address.username or ""), unquote(address.password)))]
            parts = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
            connection.sendall(b"*%d\r\n%s" % (len(words), parts))
        connection.sendall(b"INFO server\r\n")
        told = read_until(connection, rb"(?:valkey|redis)_version:([\d.]+)\r\n(?s:.*)\r\n\r\n|\r\n-\w+ ")
    # Valkey tells the version of Redis that it is compatible with, too.
    found = re.search(rb"valkey_version:([\d.]+)", told) or re.search(rb"redis_version:([\d.]+)", told)
    return found[1].decode() if found else ""


def _ask_nats(address: SplitResult) -> str:
    with _connect(address, 4222) as connection:
        told = read_until(connection, rb"\r\n")
    found = re.search(rb'"version"\s*:\s*"([^"]+)"', told)
    return found[1].decode() if found else ""


def _ask_postgres(address: SplitResult) -> str:
    """Start a session; the version comes before the first query, but after a password if one is wanted."""
    user = unquote(address.username or "postgres")
    database = address.path.strip("/") or user
    text = f"user\0{user}\0database\0{database}\0\0".encode()
    with _connect(address, 5432) as connection:
        connection.sendall(struct.pack("!ii", 8 + len(text), 196_608) + text)  # protocol 3.0
        told = read_until(connection, rb"server_version\0([\d.]+)|^E|^R\0\0\0.\0\0\0[^\0]")
    found = re.search(rb"server_version\0([\d.]+)", told)
    return found[1].decode() if found else ""


def read_until(connection: socket.socket, pattern: bytes) -> bytes:
    """Read until the pattern was there, the other side has no more, or it takes too long."""
    told = b""
    with contextlib.suppress(TimeoutError):
        while not re.search(pattern, told) and (chunk := connection.recv(65_536)):
            told += chunk
    return told


_ASK: Mapping[str, Callable[[SplitResult], str]] = {
    "nats": _ask_nats,
    "postgres": _ask_postgres,
    "redis": _ask_redis,
    "valkey": _ask_redis,
}
