"""Wake-ups: who waits listens on one connection of a handle, and who changes something notifies.

A notification carries no work, so one that is lost costs a delay and never a task: whoever waits also looks for itself
once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from omniq.errors import OmniQError
from omniq_postgres.failures import NETWORK
from omniq_postgres.pool import release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncpg import Connection  # type: ignore[import-untyped]

    from omniq_postgres.options import PostgresOptions
    from omniq_postgres.pool import Pool

__all__ = ["DONE", "EVENTS", "WORK", "Bell"]

WORK, DONE, EVENTS = "w", "d", "e"
"""What a change may have brought: claimable work, an ended task, an event."""

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0
_PATIENCE = 1.0
_ALIVE = 10.0
_GAP = 0.002
_LISTENING = 1330466387
# Listeners share a lock, so that whoever gets it alone knows that nobody listens and need not notify. A notification is
# a commit, but need not be flushed.
_ENLIST = f"SELECT pg_advisory_lock_shared({_LISTENING}, hashtext($1))"
_RING = (
    "SELECT set_config('synchronous_commit', 'off', true), "
    f"CASE WHEN NOT pg_try_advisory_xact_lock({_LISTENING}, hashtext($1)) THEN pg_notify($1, $2) END"
)


class Wait(asyncio.Event):
    """One wait for a kind of change."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind


class Bell:
    """Wakes the waits of one handle, and those of others.

    Args:
        options: How to reach the server.
        pool: Sends the notifications.
        channel: What both sides call it.
    """

    def __init__(self, options: PostgresOptions, pool: Pool, channel: str) -> None:
        self._options = options.for_listening
        self._pool = pool
        self._channel = channel
        self._listener: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._is_listening = asyncio.Event()
        self._waits: set[Wait] = set()
        self._unsent: set[str] = set()

    @property
    def is_push(self) -> bool:
        """Whether notifications are listened for."""
        return self._options is not None

    async def listen(self) -> None:
        """Return once notifications are heard, or after a second if the server cannot be reached."""
        if self._options is None or self._is_listening.is_set():
            return
        if self._listener is None or self._listener.done():
            self._listener = asyncio.get_running_loop().create_task(self._listen(), name="omniq-postgres-bell")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._is_listening.wait()

    @contextlib.contextmanager
    def waiting(self, kind: str) -> Iterator[Wait]:
        """Give an event that is set when a change of the kind is heard of."""
        wait = Wait(kind)
        self._waits.add(wait)
        try:
            yield wait
        finally:
            self._waits.discard(wait)

    def ring(self, kinds: str) -> None:
        """Tell every handle; notifications of changes that follow each other closely become one."""
        self._hear(kinds)
        self._unsent.update(kinds)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send(), name="omniq-postgres-ring")

    def wake(self) -> None:
        """Wake whoever waits in this process."""
        self._hear(WORK + DONE + EVENTS)

    async def close(self) -> None:
        """Listen no more; whoever waits is woken."""
        if self._sender is not None:
            await asyncio.wait({self._sender}, timeout=_PATIENCE)
        for task in (self._listener, self._sender):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task})
        self._listener = self._sender = None
        self._is_listening.clear()
        if self._connection is not None:
            await release(self._connection)
            self._connection = None
        self.wake()

    def _hear(self, kinds: str) -> None:
        for wait in self._waits:
            if wait.kind in kinds:
                wait.set()

    async def _send(self) -> None:
        while self._unsent:
            kinds = "".join(sorted(self._unsent))
            self._unsent.clear()
            with contextlib.suppress(OmniQError):
                await self._pool.fetch(_RING, self._channel, kinds)
            await asyncio.sleep(_GAP)

    async def _listen(self) -> None:
        pause = _FIRST_PAUSE
        while self._options is not None:
            # No `finally` here: a task that is dropped with its loop could not wait for anything in there.
            try:
                self._connection = connection = await self._pool.connect(self._options)
                ended = asyncio.Event()
                connection.add_termination_listener(lambda *_, ended=ended: ended.set())
                await connection.add_listener(self._channel, self._heard)
                await connection.fetch(_ENLIST, self._channel, timeout=_ALIVE)
                pause = _FIRST_PAUSE
                self._is_listening.set()
                self.wake()  # something may have happened while nobody listened
                while not ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_ALIVE):
                            await ended.wait()
                    if not ended.is_set():
                        await connection.execute("SELECT", timeout=_ALIVE)
            except (OmniQError, *NETWORK):
                pass
            self._is_listening.clear()
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _heard(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        del connection, pid, channel
        self._hear(str(payload))
