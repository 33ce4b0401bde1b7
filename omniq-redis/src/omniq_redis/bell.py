"""Hears wake-ups: one connection of a handle that is subscribed to a channel of its own.

Scripts ring the bells of those who wait. A message carries no work, so one that is lost costs a delay and never a task:
whoever waits also looks for itself once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING

from redis import exceptions

from omniq.errors import OmniQError
from omniq_redis.failures import NETWORK
from omniq_redis.pool import release

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from redis.asyncio.connection import Connection

    from omniq_redis.server import Server

__all__ = ["EVENTS", "WORK", "Bell", "Wait"]

WORK, EVENTS = "\0work", "\0events"
"""What a wait can be for, besides the ends of tasks: claimable work, or a longer event log. No task has such an id."""

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0
_PATIENCE = 1.0


class Wait(asyncio.Event):
    """One wait.

    Attributes:
        wanted: What it is for.
        ended: The tasks that ended, and the number of the state of each.
    """

    def __init__(self, wanted: Collection[str]) -> None:
        super().__init__()
        self.wanted = wanted
        self.ended: dict[str, int] = {}


class Bell:
    """Wakes the waits of one handle.

    Attributes:
        name: The handle's name among those who wait.
        awaited: The ids of tasks whose end the server will tell; empty when the connection was lost.
    """

    def __init__(self, server: Server) -> None:
        self.name = secrets.token_hex(8)
        self.awaited: set[str] = set()
        self._server = server
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._is_listening = asyncio.Event()
        self._follows_log = False
        self._waits: set[Wait] = set()

    async def listen(self) -> None:
        """Return once wake-ups are heard, or after a second if the server cannot be reached."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="omniq-redis-bell")
        if not self._is_listening.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._is_listening.wait()

    async def follow_log(self) -> None:
        """Hear of new events, too."""
        was_listening = self._is_listening.is_set() and not self._follows_log
        self._follows_log = True
        if was_listening and self._connection is not None:
            with contextlib.suppress(*NETWORK):
                await self._server.pool.subscribe(self._connection, "log")
        await self.listen()

    @contextlib.contextmanager
    def waiting(self, *what: str) -> Iterator[Wait]:
        """Give an event that is set when one of these is heard: `WORK`, `EVENTS`, or the id of a task that ended."""
        wait = Wait(frozenset(what))
        self._waits.add(wait)
        try:
            yield wait
        finally:
            self._waits.discard(wait)

    async def close(self) -> None:
        """Listen no more; whoever waits is woken."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        self.wake()

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                channels = [f"bell:{self.name}", *(["log"] if self._follows_log else [])]
                self._connection = await self._server.pool.listen(*channels)
                pause = _FIRST_PAUSE
                self._is_listening.set()
                self.wake()  # something may have happened while nobody listened
                while True:
                    self._hear(*await self._connection.read_response())
            except (OmniQError, exceptions.RedisError, *NETWORK):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                self._is_listening.clear()
                self.awaited.clear()
                connection, self._connection = self._connection, None
                if connection is not None:
                    await release(connection)

    def _hear(self, kind: bytes, channel: bytes, message: bytes) -> None:
        if kind.endswith(b"unsubscribe"):
            raise exceptions.ConnectionError("The channel is on another node now.")
        if not kind.endswith(b"message"):
            return
        what, state = EVENTS if channel.endswith(b"}:log") else WORK, -1
        if message[:1] == b"d":  # the digit of the state, and the id
            what, state = message[2:].decode(), int(message[1:2])
            self.awaited.discard(what)
        for wait in self._waits:
            if what in wait.wanted:
                wait.set()
                if state >= 0:
                    wait.ended[what] = state

    def wake(self) -> None:
        """Wake whoever waits."""
        for wait in self._waits:
            wait.set()
