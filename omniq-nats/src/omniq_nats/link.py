"""The way to the servers: one connection at a time, made anew when it broke, and requests in batches."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import ssl
from typing import TYPE_CHECKING

from omniq.errors import ConfigError, LimitExceededError, StoreClosedError
from omniq_nats.failures import NETWORK, not_reached
from omniq_nats.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq_nats.options import NatsOptions
    from omniq_nats.wire import Request

__all__ = ["Link"]

_WINDOW = 1024
_WINDOW_BYTES = 4_000_000
_HEADER = 12
"""Bytes around the lines of headers."""
_AT_ONCE = 1.0
_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


class Link:
    """Belongs to the event loop in which it is opened.

    Args:
        options: How to reach the servers.

    Attributes:
        refusal: The last thing that the server refused on the connection before this one.
    """

    def __init__(self, options: NatsOptions) -> None:
        self.options = options
        self._wire: Wire | None = None
        self._making: asyncio.Task[Wire] | None = None
        self._ended: set[asyncio.Task[None]] = set()
        self._pid = os.getpid()
        self._is_closed = False
        self._first = 0
        self._failures = 0
        self.refusal = ""
        self._listeners: set[Callable[[], None]] = set()

    async def wire(self) -> Wire:
        """Return a connection that is not known to be broken.

        Raises:
            ConnectionLostError: None can be made.
            ConfigError: The servers refuse the login.
        """
        if self._wire is not None and self._wire.is_usable:
            return self._wire
        self.check_open()
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._make(), name="omniq-nats-connect")
            self._making.add_done_callback(self._made)
        return await asyncio.shield(self._making)

    def check_open(self) -> None:
        """Refuse to work when closed.

        Raises:
            StoreClosedError: It is so.
        """
        if self._is_closed or self._pid != os.getpid():
            raise StoreClosedError("The NATS backend is closed. Open it again, or make a new application.")

    @property
    def current(self) -> Wire | None:
        """The connection, if there is one."""
        return self._wire if self._wire is not None and self._wire.is_usable else None

    async def ask(self, requests: Sequence[Request]) -> list[tuple[bytes, bytes] | None]:
        """Send requests, all at once as far as that is sensible, and return the answers; None for each that was lost.

        Raises:
            ConnectionLostError: Nothing was sent.
            LimitExceededError: One is larger than the server takes, who would end the connection; nothing was sent.
        """
        wire = await self.wire()
        largest = max((len(headers) + len(payload) for _, headers, payload in requests), default=0) + _HEADER
        if largest > wire.max_payload:
            raise LimitExceededError(
                f"A message of {largest:,} bytes is too large: the server at {self.options.where} takes at most "
                f"{wire.max_payload:,}. Pass and return references to large data, or raise its max_payload."
            )
        if len(requests) <= _WINDOW and sum(len(request[2]) for request in requests) <= _WINDOW_BYTES:
            return await self._exchange(wire, requests)
        replies: list[tuple[bytes, bytes] | None] = []
        for part in _windows(requests):
            found = await self._exchange(wire, part) if wire.is_usable else [None] * len(part)
            replies += found
        return replies

    async def read(self, requests: Sequence[Request]) -> list[tuple[bytes, bytes] | None]:
        """Send requests that change nothing; if the connection breaks at once, again on another one.

        Raises:
            ConnectionLostError: Nothing was sent.
        """
        began = asyncio.get_running_loop().time()
        replies = await self.ask(requests)
        if None in replies and asyncio.get_running_loop().time() - began < _AT_ONCE:
            replies = await self.ask(requests)
        return replies

    async def _exchange(self, wire: Wire, requests: Sequence[Request]) -> list[tuple[bytes, bytes] | None]:
        batch = wire.send(requests)
        # Whatever comes later would be taken for lost: then use another connection.
        timer = asyncio.get_running_loop().call_later(self.options.request_timeout, wire.over)
        try:
            await batch.done
        finally:
            timer.cancel()
            if batch.left:
                wire.forget(batch)
        return batch.replies

    def listening(self, is_lost: Callable[[], None]) -> None:
        """Call a function whenever a connection broke."""
        self._listeners.add(is_lost)

    def unlistening(self, is_lost: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners.discard(is_lost)

    def end(self) -> None:
        """Close the connection, without waiting for that."""
        self._is_closed = True
        if self._making is not None:
            self._making.cancel()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.over()

    async def close(self) -> None:
        """Close the connection."""
        self.end()
        while pending := {task for task in (self._making, *self._ended) if task is not None and not task.done()}:
            await asyncio.wait(pending)

    def _lost(self, wire: Wire) -> None:
        self.refusal = wire.refusal
        if self._wire is wire:
            self._wire = None
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            loop = asyncio.get_running_loop()
            task = loop.create_task(wire.ended(), name="omniq-nats-end")
            self._ended.add(task)
            task.add_done_callback(self._ended.discard)
        for listener in tuple(self._listeners):
            listener()

    def _made(self, task: asyncio.Task[Wire]) -> None:
        self._making = None
        if not task.cancelled():
            task.exception()  # somebody else waits for it, or nobody any more

    async def _make(self) -> Wire:
        options = self.options
        servers = [*options.servers[self._first :], *options.servers[: self._first]]
        last: BaseException | None = None
        if self._failures:
            await asyncio.sleep(min(_PAUSE * 2 ** min(self._failures, 10), _LONGEST_PAUSE))
        try:
            async with asyncio.timeout(options.connect_timeout):
                for number, server in enumerate(servers):
                    try:
                        wire = await self._connect(server)
                    except NETWORK as error:
                        last = error
                    else:
                        self._first = (self._first + number) % len(servers)
                        self._failures = 0
                        return wire
        except TimeoutError:
            last = last or TimeoutError("it did not answer in time")
        self._failures += 1
        self._first = (self._first + 1) % len(servers)
        raise not_reached(last, options.where)

    async def _connect(self, server: str) -> Wire:
        options = self.options
        prefix = f"{options.inbox_prefix}.{secrets.token_hex(11)}"
        wire = Wire(prefix, lambda: self._lost(wire), encrypts=options.encrypts)
        try:
            await wire.connect(
                server,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=max(options.connect_timeout / len(options.servers), 0.1),  # type: ignore[arg-type] # any number
                name="omniq",
                error_cb=wire.had_error,
                user=options.user,
                password=options.password,
                token=options.token,
                nkeys_seed=None if options.nkey is None else str(options.nkey),
                user_credentials=None if options.credentials is None else str(options.credentials),
                tls=_context(options),
                tls_handshake_first=options.tls_first,
            )
            await wire.begin()
        except BaseException as error:
            wire.abandon()
            why = wire.last_error
            if isinstance(error, NETWORK) and why is not None and why is not error:
                raise why from error
            raise
        if not wire.is_usable:
            raise EOFError("the connection broke at once")
        self._wire = wire
        return wire


def _windows(requests: Sequence[Request]) -> list[Sequence[Request]]:
    parts, start, size = [], 0, 0
    for end, request in enumerate(requests):
        if end > start and (end - start >= _WINDOW or size + len(request[2]) > _WINDOW_BYTES):
            parts.append(requests[start:end])
            start, size = end, 0
        size += len(request[2])
    parts.append(requests[start:])
    return parts


def _context(options: NatsOptions) -> ssl.SSLContext | None:
    """Return how to encrypt.

    Raises:
        ConfigError: A certificate or key cannot be read.
    """
    if not options.encrypts:
        return None
    try:
        context = ssl.create_default_context(cafile=None if options.tls_ca is None else str(options.tls_ca))
        if not options.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if options.tls_cert is not None:
            context.load_cert_chain(options.tls_cert, options.tls_key)
    except OSError as error:
        raise ConfigError(f"tls_ca, tls_cert or tls_key cannot be used: {error}. Give files in PEM format.") from error
    return context
