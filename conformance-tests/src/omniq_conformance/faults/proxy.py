"""A TCP proxy that breaks connections at a chosen chunk: made to be armed, counted and enumerated."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Self

import attrs

from omniq_conformance.faults.addresses import address_of, parts_of, proxied

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from types import TracebackType
    from typing import Any

__all__ = ["Damage", "Direction", "Plan", "Proxy"]

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset."""
_ANSWER = 10.0


class Direction(StrEnum):
    """Which way bytes go."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


class Damage(StrEnum):
    """What happens to a chunk and its connection."""

    CUT = "cut"
    """It is lost and both ends get a reset; other connections and new ones work."""
    CLOSE = "close"
    """It and all that follows in its direction is lost, and the receiver is told that no more comes; the other
    direction of the connection stays open. Other connections and new ones work."""
    STALL = "stall"
    """From it on nothing passes in its direction any more, on any connection, until the proxy is healed; then the
    connections on which something was held back get a reset."""


@attrs.frozen(kw_only=True)
class Plan:
    """What the proxy does.

    A chunk is what one read got, or a slice of that; chunks are counted from 1 over all connections, apart for each
    direction, since the plan was made.

    Attributes:
        damage: What to break; None only counts.
        direction: In which direction.
        chunk: At which chunk of it.
        delay: Seconds that every chunk takes longer, both ways.
        slice_size: Pass on so many bytes at a time.
    """

    damage: Damage | None = None
    direction: Direction = Direction.TO_SERVER
    chunk: int = 1
    delay: float = 0.0
    slice_size: int = _CHUNK


class _BrokenError(Exception):
    """The connection is to be reset."""


@attrs.define(eq=False)
class _Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def reset(self) -> None:
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Stands before a server, in a thread with an event loop of its own; use it with `with`.

    Before a cluster, whose url names several servers separated by commas, it has an address for each of them. Chunks
    are counted over all.

    Attributes:
        url: Where clients reach the server through the proxy.
        accepted: How many connections there were.
        chunks: How many chunks came in each direction since the plan was made.
        has_struck: Whether the damage of the plan was done.
    """

    def __init__(self, url: str) -> None:
        self._targets = {part: address_of(part) for part in parts_of(url)}
        self._servers: list[asyncio.Server] = []
        self.url = ""
        self.accepted = 0
        self.chunks = dict.fromkeys(Direction, 0)
        self.has_struck = False
        self._plan = Plan()
        self._links: set[_Link] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._healed = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """How many connections are open now, those of which one direction is closed included."""
        return len(self._links)

    def arm(self, plan: Plan) -> None:
        """Begin a plan, counting from zero; an earlier one is healed."""
        self._run(self._begin(plan))

    def heal(self) -> None:
        """Break nothing from now on."""
        self.arm(Plan())

    def sever(self) -> None:
        """Reset every connection that is open now."""
        self._run(self._sever())

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="omniq-conformance-proxy", daemon=True)
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER)

    async def _listen(self) -> None:
        urls = []
        for url, target in self._targets.items():
            server = await asyncio.start_server(partial(self._accept, target), "127.0.0.1", 0)
            self._servers.append(server)
            urls.append(proxied(url, *server.sockets[0].getsockname()))
        self.url = ",".join(urls)

    async def _begin(self, plan: Plan) -> None:
        self._healed.set()
        self._healed = asyncio.Event()
        self._plan = plan
        self.chunks = dict.fromkeys(Direction, 0)
        self.has_struck = False

    async def _sever(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def _accept(self, target: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        handler = asyncio.get_running_loop().create_task(self._serve(target, reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _serve(self, target: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client with the server until both directions ended or one broke."""
        try:
            from_server, to_server = await asyncio.open_connection(*target)
        except OSError:
            _Link(writer, writer).reset()
            return
        link = _Link(writer, to_server)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(Direction.TO_SERVER, reader, to_server))
                group.create_task(self._pass(Direction.TO_CLIENT, from_server, writer))
        except* (_BrokenError, OSError):
            pass
        finally:
            self._links.discard(link)
            link.reset()

    async def _pass(self, direction: Direction, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Pass on what comes, until it ends or is broken."""
        is_open = True
        while data := await source.read(_CHUNK):
            for chunk in _sliced(data, self._plan.slice_size):
                is_open = is_open and await self._let_through(direction, target)
                if is_open:
                    target.write(chunk)
                    await target.drain()
        if is_open:
            target.write_eof()

    async def _let_through(self, direction: Direction, target: asyncio.StreamWriter) -> bool:
        """Count a chunk and do to it what is planned; False closes the direction."""
        plan, healed = self._plan, self._healed
        self.chunks[direction] += 1
        if plan.delay:
            await asyncio.sleep(plan.delay)
        if plan.damage is None or direction is not plan.direction or self.chunks[direction] < plan.chunk:
            return True
        if plan.damage is Damage.STALL:
            self.has_struck = True
            await healed.wait()
            raise _BrokenError
        if self.has_struck:
            return True
        self.has_struck = True
        if plan.damage is Damage.CUT:
            raise _BrokenError
        target.write_eof()
        return False


def _sliced(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
