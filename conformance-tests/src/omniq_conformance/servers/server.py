"""What every kind of server can do for a test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Server", "Stoppable"]


class Stoppable(ABC):
    """What runs until it is stopped: a context manager."""

    @abstractmethod
    def stop(self) -> None:
        """End it and remove its data; stopping twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class Server(Stoppable):
    """A server of our own, which keeps its data over `kill` and `restart` and loses them with `stop`.

    Attributes:
        kind: What it is called in `start` and in reports, such as `valkey`.
        url: Where clients reach it; the same after every restart.
        is_private: Whether it is for this run only, and its data go with it.
    """

    kind: ClassVar[str]
    is_private: ClassVar[bool] = True
    url: str

    @property
    @abstractmethod
    def version(self) -> str:
        """Product and version, such as `Valkey 9.1.2`."""

    @abstractmethod
    def kill(self) -> None:
        """End every process of it with SIGKILL, as a crash does."""

    @abstractmethod
    def restart(self) -> None:
        """Start it again on its data, whether it was killed or is running; returns once it serves."""

    @abstractmethod
    def pause(self) -> None:
        """Stop every process of it with SIGSTOP: connections stay open and nothing answers."""

    @abstractmethod
    def resume(self) -> None:
        """Let it go on after `pause`."""
