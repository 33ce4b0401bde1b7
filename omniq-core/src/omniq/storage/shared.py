"""For backends: what several roles use together, such as the connections to one server, and roles that use it."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from omniq.errors import StoreClosedError
from omniq.storage.role import Storage

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from omniq.storage.capabilities import Capabilities

__all__ = ["Shared", "SharedRole", "finished"]

S_co = TypeVar("S_co", bound="Shared", covariant=True)


class Shared(ABC):
    """Opened by the first role that needs it and closed by the last one; belongs to the event loop that opened it.

    After a fork the child may open it afresh; until then `check_open` refuses.

    Args:
        title: What messages call it: `Redis backend at localhost:6379`.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._users: set[object] = set()
        self._is_connected = False
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changing = asyncio.Lock()
        self._capabilities: Capabilities | None = None

    @abstractmethod
    async def connect(self) -> Capabilities:
        """Make all connections anew and return what can be done with them; whatever it left is let go if it raises."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Let all connections go, also those that `connect` left half made. Waits return."""

    async def open(self, user: object) -> None:
        """Connect, or join the users for whom that was done; once is enough for each.

        Args:
            user: Who is going to use it.

        Raises:
            OmniQError: As of `connect`.
        """
        loop = asyncio.get_running_loop()
        if not self.is_open and (self._loop is not loop or self._pid != os.getpid()):
            # What a parent process or an event loop that has ended left here is of no use, and nobody has its lock.
            self._loop, self._changing, self._users, self._is_connected = loop, asyncio.Lock(), set(), False
        async with self._changing:
            if not self._is_connected:
                await self._begin()
            self._users.add(user)

    async def _begin(self) -> None:
        self._pid, self._is_connected = os.getpid(), True  # so that `connect` may use it
        try:
            self._capabilities = await self.connect()
        except BaseException:
            self._is_connected = False
            await finished(self.disconnect())
            raise

    def leave(self, user: object) -> None:
        """Let one of the users not use it any more, at once; `release` has to follow."""
        self._users.discard(user)

    async def release(self) -> None:
        """Disconnect if nobody uses it, even if this is cancelled meanwhile."""
        await finished(self._end())

    async def _end(self) -> None:
        async with self._changing:
            if self.is_open and not self._users:
                self._is_connected = False
                await self.disconnect()

    @property
    def capabilities(self) -> Capabilities:
        """What can be done, as of the last time that it was opened.

        Raises:
            StoreClosedError: It never was.
        """
        if self._capabilities is None:
            raise StoreClosedError(f"The {self._title} is not open yet. {_OPEN}")
        return self._capabilities

    @property
    def is_open(self) -> bool:
        """Whether it may be used."""
        loop = self._loop
        return self._is_connected and self._pid == os.getpid() and loop is not None and not loop.is_closed()

    def is_open_for(self, user: object) -> bool:
        """Whether this one of the users may use it."""
        return user in self._users and self.is_open

    def check_open(self) -> None:
        """Refuse to work when closed, or in a child process that inherited the connections.

        Raises:
            StoreClosedError: It is so.
        """
        if not self.is_open:
            raise self.closed()

    def closed(self) -> StoreClosedError:
        """Return the error of a use that is not possible now."""
        if self._is_connected and self._pid != os.getpid():
            return StoreClosedError(
                f"The {self._title} was opened in another process, before a fork. Open one of its own in this process."
            )
        return StoreClosedError(f"The {self._title} is not open. {_OPEN}")


_OPEN = "Open it first: async with app, or await storage.open()."


class SharedRole(Storage, Generic[S_co]):
    """A role that uses what other roles of the same configuration use too.

    Attributes:
        shared: It.
    """

    def __init__(self, shared: S_co) -> None:
        self.shared = shared

    async def open(self) -> None:
        """Open what is shared, or join the roles that have done so."""
        await self.shared.open(self)

    async def close(self) -> None:
        """Let it go."""
        if self.is_open:
            self.shared.leave(self)
            self.leaving()
            await self.shared.release()

    @property
    def is_open(self) -> bool:
        """Whether this role may be used."""
        return self.shared.is_open_for(self)

    def leaving(self) -> None:
        """Let the waits of this role look again, and find that it is closed; nothing by default."""

    @property
    def opened(self) -> S_co:
        """What is shared, if this role may use it.

        Raises:
            StoreClosedError: This role is closed, though others may be open, or the process forked.
        """
        if not self.is_open:
            raise self.shared.closed()
        return self.shared

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self.shared.capabilities


async def finished(work: Awaitable[None]) -> None:
    """Do the work to its end; who is cancelled meanwhile is so afterwards."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
