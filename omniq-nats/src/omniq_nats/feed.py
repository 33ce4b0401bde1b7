"""Reading a stream in order: once to its end, or on and on as messages are written."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from omniq.errors import OmniQError
from omniq_nats.failures import RefusedError, lost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from omniq_nats.jetstream import JetStream
    from omniq_nats.wire import Wire

__all__ = ["Delivered", "Feed", "scan"]

_HEARTBEAT = 1.0
_PATIENCE = 2.5
"""Seconds without a message or a heartbeat, after which the subscription is made anew."""
_INACTIVE = 5.0
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
_CALM = 1.0


class Delivered(NamedTuple):
    """A message of a stream: its subject, its number, its time (ns), how many follow, and its payload."""

    subject: bytes
    rev: int
    stamp: int
    pending: int
    payload: bytes


_NO_MORE = Delivered(b"", 0, 0, 0, b"")


class _Consumer:
    """One ordered consumer of the server's, for as long as nothing is missed.

    Args:
        jetstream: Where.
        stream: Which stream.
        take: Is given each message in order, and None once when something was missed or the connection is lost.
        is_idle: Called when the server had nothing to give for a while.
    """

    def __init__(
        self,
        jetstream: JetStream,
        stream: str,
        take: Callable[[Delivered | None], None],
        is_idle: Callable[[], None] | None = None,
    ) -> None:
        self._jetstream = jetstream
        self._stream = stream
        self._take = take
        self._is_idle = is_idle
        self._wire: Wire | None = None
        self._sid = b""
        self._name = ""
        self._count = 0
        self.heard = 0.0
        self._is_over = False

    async def start(self, config: Mapping[str, object]) -> int:
        """Make it, and return how many messages it will give at once."""
        link = self._jetstream.link
        wire = await link.wire()
        inbox = f"{link.options.inbox_prefix}.{id(self):x}.{time.monotonic_ns():x}"
        link.listening(self._lost)
        self._wire = wire
        self._sid = wire.listen(inbox, self._hear)
        self.heard = time.monotonic()
        body = {
            "stream_name": self._stream,
            "config": {
                "deliver_subject": inbox,
                "ack_policy": "none",
                "max_deliver": 1,
                "flow_control": True,
                "idle_heartbeat": int(_HEARTBEAT * 1e9),
                "inactive_threshold": int(_INACTIVE * 1e9),
                "mem_storage": True,
                "num_replicas": 1,
                **config,
            },
        }
        try:
            made = await self._jetstream.api(f"CONSUMER.CREATE.{self._stream}", body)
        except RefusedError as error:
            self.stop()
            raise error.mapped() from error
        except BaseException:
            self.stop()
            raise
        self._name = str(made["name"])
        if self._is_over:
            self._delete()
            link.check_open()
            raise lost(link.options.where, "the connection broke")
        pending: int = made.get("num_pending", 0) + made.get("delivered", {}).get("consumer_seq", 0)
        return pending

    async def is_done(self) -> bool:
        """Ask whether the server has given everything that there is, and all of it has come."""
        try:
            told = await self._jetstream.api(f"CONSUMER.INFO.{self._stream}.{self._name}")
        except RefusedError as error:
            raise error.mapped() from error
        delivered: int = told["delivered"]["consumer_seq"]
        return told["num_pending"] == 0 and delivered == self._count

    def stop(self) -> None:
        """Let it go."""
        if not self._is_over:
            self._is_over = True
            self._jetstream.link.unlistening(self._lost)
            if self._wire is not None:
                self._wire.unlisten(self._sid)
        self._delete()

    def _delete(self) -> None:
        if self._wire is not None and self._name and self._wire.is_usable:
            self._wire.ask_nobody(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._name}", b"")
            self._name = ""

    def _lost(self) -> None:
        if not self._is_over:
            self.stop()
            self._take(None)

    def _hear(self, subject: bytes, reply: bytes, headers: bytes, payload: bytes) -> None:
        self.heard = time.monotonic()
        if not reply.startswith(b"$JS.ACK."):
            self._control(reply, headers)
            return
        parts = reply.split(b".")
        if len(parts) < 10:  # noqa: PLR2004 - $JS.ACK.<stream>.<consumer>.<delivered>.<rev>.<count>.<time>.<pending>
            rev, count, stamp, pending = parts[5:9]
        else:  # with a domain and an account after ACK
            rev, count, stamp, pending = parts[7:11]
        self._count += 1
        if int(count) != self._count:
            self._lost()
            return
        self._take(Delivered(subject, int(rev), int(stamp), int(pending), payload))

    def _control(self, reply: bytes, headers: bytes) -> None:
        if not headers.startswith(b"NATS/1.0 100"):
            self._lost()  # such as 409, when the consumer or its stream was deleted
        elif self._wire is not None:
            if reply:
                self._wire.tell(reply)
            else:
                self._check(headers)

    def _check(self, headers: bytes) -> None:
        """Look at a heartbeat: whether something was missed, or the server waits for an answer of flow control."""
        for line in headers.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name == b"Nats-Last-Consumer" and int(value) != self._count:
                self._lost()
                return
            if name == b"Nats-Consumer-Stalled" and self._wire is not None:
                self._wire.tell(value)
        if self._is_idle is not None:
            self._is_idle()


async def scan(
    jetstream: JetStream,
    stream: str,
    subject: str,
    *,
    first: int = 1,
    end: int | None = None,
    is_latest: bool = False,
) -> AsyncGenerator[Delivered, None]:
    """Yield the messages of a subject from a number on that are stored now, in order; use it with `aclosing`.

    Args:
        jetstream: Where.
        stream: Which stream.
        subject: The subject, or a pattern of several.
        first: The first number.
        end: The last number; None is the last one of now.
        is_latest: Only the last message of each subject, and all numbers.

    Raises:
        ConnectionLostError: The connection broke.
    """
    came: asyncio.Queue[Delivered | None] = asyncio.Queue()
    consumer = _Consumer(jetstream, stream, came.put_nowait, lambda: came.put_nowait(_NO_MORE))
    patience = jetstream.link.options.request_timeout
    policy: dict[str, object] = {"deliver_policy": "by_start_sequence", "opt_start_seq": max(first, 1)}
    if is_latest:
        policy = {"deliver_policy": "last_per_subject"}
    try:
        left = await consumer.start({**policy, "filter_subject": subject})
        while left:
            try:
                message = came.get_nowait()
            except asyncio.QueueEmpty:
                message = await _next(came, patience, jetstream.link.options.where)
            if message is None:
                jetstream.link.check_open()
                raise lost(jetstream.link.options.where, "the connection broke")
            if message is _NO_MORE:
                if await consumer.is_done():
                    return
                continue
            if end is not None and message.rev > end:
                return
            yield message
            if message.pending == 0 or (end is not None and message.rev >= end):
                return
    finally:
        consumer.stop()


async def _next(came: asyncio.Queue[Delivered | None], patience: float, where: str) -> Delivered | None:
    try:
        async with asyncio.timeout(patience):
            return await came.get()
    except TimeoutError:
        raise lost(where, "messages did not come in time") from None


class Feed:
    """Follows a stream: gives every message from a number on to `take`, in order, whatever happens to connections.

    Args:
        jetstream: Where.
        stream: Which stream.
        take: Is given each message.
        ask: Returns where to begin or to go on: a consumer's configuration.
        is_ready: Called each time when the subscription stands.
    """

    def __init__(
        self,
        jetstream: JetStream,
        stream: str,
        take: Callable[[Delivered], None],
        ask: Callable[[], Mapping[str, Any]],
        is_ready: Callable[[], None] | None = None,
    ) -> None:
        self._jetstream = jetstream
        self._stream = stream
        self._take = take
        self._ask = ask
        self._is_ready = is_ready
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="omniq-nats-feed")

    async def stop(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            self._again.clear()
            consumer = _Consumer(self._jetstream, self._stream, self._given)
            try:
                with contextlib.suppress(OmniQError):
                    await consumer.start(self._ask())
                    if self._is_ready is not None:
                        self._is_ready()
                    began = time.monotonic()
                    await self._stand(consumer)
                    if time.monotonic() - began > _CALM:
                        pause = _FIRST_PAUSE
            finally:
                consumer.stop()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _stand(self, consumer: _Consumer) -> None:
        while time.monotonic() - consumer.heard < _PATIENCE:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE / 2):
                    await self._again.wait()
                return

    def _given(self, message: Delivered | None) -> None:
        if message is None:
            self._again.set()
        else:
            self._take(message)
