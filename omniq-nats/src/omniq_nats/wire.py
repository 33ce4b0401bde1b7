"""One connection: nats-py makes it, and this reads and writes it, in batches.

A connection that broke is not made again under the hands of its users, who would not know which of their messages went
out: it is closed, everything under way is told so, and a `Link` makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from nats.aio.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Batch", "Handler", "Request", "Wire"]

Request = tuple[str, bytes, bytes]
"""A subject, the lines of headers (each with its line end) and a payload."""

if TYPE_CHECKING:
    Handler = Callable[[bytes, bytes, bytes, bytes], None]
    """Called with the subject, the reply subject, the headers and the payload of a message; it must not raise."""


class Batch:
    """Requests that are answered in any order.

    Attributes:
        replies: The headers and the payload of each answer; None while there is none.
        done: Is set when all are answered, or when the connection broke.
    """

    __slots__ = ("done", "left", "replies")

    def __init__(self, size: int) -> None:
        self.replies: list[tuple[bytes, bytes] | None] = [None] * size
        self.left = size
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, index: int, headers: bytes, payload: bytes) -> None:
        """Take an answer."""
        if self.replies[index] is None:
            self.replies[index] = headers, payload
            self.left -= 1
            if not self.left:
                self.end()

    def end(self) -> None:
        """Wait no more."""
        if not self.done.done():
            self.done.set_result(None)


class _Parser:
    """Reads the protocol; in place of nats-py's, which takes several times as long for a message."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = b""

    def reset(self) -> None:
        """Forget what was not complete."""
        self._rest = b""

    async def parse(self, data: bytes = b"") -> None:
        """Read what came."""
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        handlers = self._wire.handlers
        while at < end:
            stop = data.find(b"\r\n", at)
            if stop < 0:
                break
            first = data[at]
            if first == 77 or first == 72:  # noqa: PLR1714, PLR2004 - M of MSG, H of HMSG; the fastest way to ask
                parts = data[at:stop].split()
                size = int(parts[-1])
                stop += 2
                following = stop + size + 2
                if end < following:
                    break
                is_bare = first == 77  # noqa: PLR2004 - as above
                head = 0 if is_bare else int(parts[-2])
                handler = handlers.get(parts[2])
                if handler is not None:
                    reply = parts[3] if len(parts) == (5 if is_bare else 6) else b""
                    handler(parts[1], reply, data[stop : stop + head], data[stop + head : following - 2])
                at = following
            else:
                line, at = data[at:stop], stop + 2
                await self._wire.hear(line)
        self._rest = data[at:] if at < end else b""


class Wire(Client):  # type: ignore[misc] # nats-py has no complete types
    """A connection.

    Args:
        prefix: The subjects on which answers come begin with it.
        is_lost: Called when the connection broke or was closed.
    """

    def __init__(self, prefix: str, is_lost: Callable[[], None]) -> None:
        super().__init__()
        self._ps: Any = _Parser(self)
        self._prefix = prefix
        self._is_lost = is_lost
        self._sids = 0
        self._tokens = 0
        self._waiting: dict[bytes, tuple[Batch, int]] = {}
        self.handlers: dict[bytes, Handler] = {}
        self.refusal = ""
        self._is_over = False

    def begin(self) -> None:
        """Make it able to receive answers; once it is connected."""
        self._skip = len(self._prefix) + 1
        self._subscribe(f"{self._prefix}.*", self._answer)

    @property
    def server(self) -> Mapping[str, Any]:
        """What the server told about itself."""
        info: Mapping[str, Any] = self._server_info
        return info

    @property
    def is_usable(self) -> bool:
        """Whether it is connected."""
        return bool(self.is_connected) and not self._is_over

    async def hear(self, line: bytes) -> None:
        """Act upon a line of the protocol that is no message."""
        word = line[:4].upper()
        if word == b"PING":
            self._write(b"PONG\r\n")
        elif word == b"PONG":
            await self._process_pong()
        elif word == b"-ERR":
            self.refusal = line[5:].decode(errors="replace").strip("' ")
            if "permissions violation" not in self.refusal.lower():
                self.over()
        elif word == b"INFO":
            import json

            await self._process_info(json.loads(line[5:]))

    def send(self, requests: Sequence[Request]) -> Batch:
        """Send requests, and return where their answers come."""
        batch = Batch(len(requests))
        out: list[bytes] = []
        prefix = self._prefix.encode()
        token = self._tokens
        for index, (subject, headers, payload) in enumerate(requests):
            token += 1
            name = b"%d" % token
            self._waiting[name] = (batch, index)
            if headers:
                size = len(headers) + 12
                out.append(
                    b"HPUB %b %b.%b %d %d\r\nNATS/1.0\r\n%b\r\n%b\r\n"
                    % (subject.encode(), prefix, name, size, size + len(payload), headers, payload)
                )
            else:
                out.append(b"PUB %b %b.%b %d\r\n%b\r\n" % (subject.encode(), prefix, name, len(payload), payload))
        self._tokens = token
        if not requests:
            batch.end()
        self._write(b"".join(out))
        return batch

    def forget(self, batch: Batch) -> None:
        """Take no more answers to a batch."""
        for name in [name for name, (each, _) in self._waiting.items() if each is batch]:
            del self._waiting[name]

    def tell(self, subject: bytes) -> None:
        """Send an empty message that has no answer."""
        self._write(b"PUB %b 0\r\n\r\n" % subject)

    def ask_nobody(self, subject: str, payload: bytes) -> None:
        """Send a request whose answer does not matter."""
        self._write(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload))

    def listen(self, subject: str, handler: Handler) -> bytes:
        """Subscribe, and return the number of the subscription."""
        return self._subscribe(subject, handler)

    def unlisten(self, sid: bytes) -> None:
        """End a subscription."""
        if self.handlers.pop(sid, None) is not None and self.is_usable:
            self._write(b"UNSUB %b\r\n" % sid)

    async def drained(self) -> None:
        """Wait until most of what was sent has left this process."""
        if self._transport is not None and self.is_usable:
            await self._transport.drain()

    def over(self) -> None:
        """Do no more with it; whoever waits for an answer is told."""
        if self._is_over:
            return
        self._is_over = True
        waiting, self._waiting = self._waiting, {}
        for batch, _ in waiting.values():
            batch.end()
        self.handlers.clear()
        self._is_lost()

    async def end(self) -> None:
        """Close it."""
        self.over()
        with contextlib.suppress(Exception):
            await self.close()
        with contextlib.suppress(Exception):
            if self._transport:
                self._transport.close()

    async def was_closed(self) -> None:
        """Hear from nats-py that it closed the connection."""
        self.over()

    async def had_error(self, error: Exception) -> None:
        """Hear of an error from nats-py; those that matter end the connection."""

    def _subscribe(self, subject: str, handler: Handler) -> bytes:
        self._sids += 1
        sid = b"%d" % self._sids
        self.handlers[sid] = handler
        self._write(b"SUB %b %b\r\n" % (subject.encode(), sid))
        return sid

    def _answer(self, subject: bytes, _: bytes, headers: bytes, payload: bytes) -> None:
        found = self._waiting.pop(subject[self._skip :], None)
        if found is not None:
            found[0].answer(found[1], headers, payload)

    def _write(self, data: bytes) -> None:
        if not self._is_over and self._transport is not None:
            try:
                self._transport.write(data)
            except (OSError, RuntimeError):
                self.over()
