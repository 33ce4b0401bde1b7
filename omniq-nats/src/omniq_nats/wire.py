"""One connection: nats-py makes it, and this reads and writes it, in batches.

A connection that broke is not made again under the hands of its users, who would not know which of their messages went
out: it is closed, everything under way is told so, and a `Link` makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from nats.aio.client import Client

from omniq.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Batch", "Request", "Wire"]

_SILENCE = 1.0
"""Seconds between questions whether the server is still there."""
_MOST_SILENCES = 2

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


class _Protocol(asyncio.Protocol):
    """Reads the protocol of NATS; in place of nats-py's tasks, which take several times as long for a message."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that the connection is gone."""
        del exc
        if not self.closed.done():
            self.closed.set_result(None)
        self._wire.over()

    def eof_received(self) -> None:
        """Hear that the server says no more."""
        self._wire.over()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._wire.heard = True
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
                self._wire.hear(line)
        self._rest = data[at:] if at < end else b""


class Wire(Client):
    """A connection.

    Args:
        prefix: The subjects on which answers come begin with it.
        is_lost: Called when the connection broke or was closed.
        encrypts: Nothing may be sent to a server that does not encrypt.
    """

    def __init__(self, prefix: str, is_lost: Callable[[], None], *, encrypts: bool) -> None:
        super().__init__()
        self._encrypts = encrypts
        self._prefix = prefix
        self._skip = len(prefix) + 1
        self._is_lost = is_lost
        self._sids = 0
        self._tokens = 0
        self._waiting: dict[bytes, tuple[Batch, int]] = {}
        self.handlers: dict[bytes, Handler] = {}
        self.refusal = ""
        self._is_over = False
        self._raw: asyncio.WriteTransport | None = None
        self._protocol: _Protocol | None = None
        self.heard = True
        self._checked = 0.0
        self._silences = 0
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self) -> None:
        """Take the connection over from nats-py, which has made it and logged in."""
        tasks = {each for each in (self._reading_task, self._ping_interval_task, self._flusher_task) if each}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        streams: Any = self._transport
        raw = streams._io_writer.transport  # noqa: SLF001 - there is no public way to the socket
        rest = bytes(streams._io_reader._buffer)  # noqa: SLF001 - what nats-py has received and not read
        self._raw = raw
        self._protocol = _Protocol(self)
        raw.set_protocol(self._protocol)
        raw.resume_reading()
        if raw.is_closing() or streams._io_reader._eof:  # noqa: SLF001 - as above
            self.over()
        self._subscribe(f"{self._prefix}.*", self._answer)
        self._check()
        if rest:
            self._protocol.data_received(rest)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 - as in nats-py
        """Hear what the server tells about itself, before the login is sent.

        Raises:
            ConfigError: It does not encrypt, of which nats-py takes no notice.
        """
        await super()._process_info(info, initial_connection)
        if self._encrypts:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise ConfigError(
                    "The server does not encrypt, and TLS is asked for: nothing was sent to it. Set up its tls, or "
                    "leave out tls:// and the options of TLS."
                )
            info["tls_required"] = True  # nats-py would not encrypt where that is left to the client

    def _check(self) -> None:
        """See to it that a connection that says nothing any more is noticed."""
        loop = asyncio.get_running_loop()
        # A turn that comes late says nothing: then this process was busy, and what came was not read yet.
        is_in_time = loop.time() - self._checked < 2 * _SILENCE
        self._silences = self._silences + 1 if is_in_time and not self.heard else 0
        if self._silences > _MOST_SILENCES:
            self.over()
        if not self._is_over:
            self.heard, self._checked = False, loop.time()
            self._write(b"PING\r\n")
            self._timer = loop.call_later(_SILENCE, self._check)

    @property
    def server(self) -> Mapping[str, Any]:
        """What the server told about itself."""
        info: Mapping[str, Any] = self._server_info
        return info

    @property
    def is_usable(self) -> bool:
        """Whether it is connected."""
        return self._raw is not None and not self._is_over

    def hear(self, line: bytes) -> None:
        """Act upon a line of the protocol that is no message."""
        word = line[:4].upper()
        if word == b"PING":
            self._write(b"PONG\r\n")
        elif word == b"-ERR":
            self.refusal = line[5:].decode(errors="replace").strip("' ")
            if "permissions violation" not in self.refusal.lower():
                self.over()

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
        if not requests or self._is_over:
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

    def over(self) -> None:
        """Do no more with it; whoever waits for an answer is told."""
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, {}
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            for batch, _ in waiting.values():
                batch.end()
        self.handlers.clear()
        self.abandon()
        self._is_lost()

    def abandon(self) -> None:
        """Close the socket, whatever state the connection is in."""
        streams: Any = self._transport
        writer = getattr(streams, "_bare_io_writer", None) if streams else None
        with contextlib.suppress(RuntimeError):
            if self._raw is not None:
                self._raw.abort()
            elif writer is not None:
                writer.transport.abort()
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None:
                with contextlib.suppress(RuntimeError):
                    task.cancel()

    async def ended(self) -> None:
        """Return once the socket is closed."""
        if self._protocol is not None:
            await asyncio.wait([self._protocol.closed], timeout=1)

    async def had_error(self, error: Exception) -> None:
        """Hear of an error from nats-py while it connects; it raises it, too."""

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
        if not self._is_over and self._raw is not None:
            try:
                self._raw.write(data)
            except (OSError, RuntimeError):
                self.over()
