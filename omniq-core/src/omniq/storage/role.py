"""What the four roles have in common: they are opened, closed and say what they can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from omniq.storage.capabilities import Capabilities

__all__ = ["Storage"]


class Storage(ABC):
    """One opened role of one backend.

    A storage belongs to the event loop in which it was opened. After a fork it raises `StoreClosedError` in the
    child, which opens its own.
    """

    @abstractmethod
    async def open(self) -> None:
        """Connect, create or check the store's format, and fill `capabilities`. Opening twice is harmless.

        Raises:
            ConnectionLostError: The store cannot be reached.
            StoreFormatError: The store was written by a version that this one cannot work with.
        """

    @abstractmethod
    async def close(self) -> None:
        """Write what is still buffered and let everything go. Waits return; closing twice is harmless."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this storage can do; known only while it is open.

        Raises:
            StoreClosedError: It was not opened yet.
        """

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
