"""What keeps a log: all that the engine needs to know of files and of object stores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import attrs

from omniq.storage.capabilities import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from omniq_file.engine import Engine
    from omniq_file.keeper import Chore

__all__ = ["ConflictError", "LaggingError", "Medium", "Opened"]


class ConflictError(Exception):
    """Somebody else appended an entry of this number first; nothing was appended."""


class LaggingError(Exception):
    """Entries that were not read yet are only in a checkpoint any more; start again from that."""


@attrs.frozen(kw_only=True)
class Opened:
    """What is known once a medium is open.

    Attributes:
        capabilities: Of every role.
        serialization_format: In which the store is written.
    """

    capabilities: Capabilities
    serialization_format: str


class Medium(ABC):
    """A log with conditional append, and blobs. Used by the engine's thread, apart from what says otherwise.

    Attributes:
        position: The number of the next entry; the first has the number 1.
        has_one_clock: Whether all who can open the store share the clock of `time`.
        is_projected: Whether changes are shown to people in files.
    """

    position: int = 1
    has_one_clock: bool = True
    is_projected: bool = False

    @abstractmethod
    def open(self) -> Opened:
        """Make or check the store.

        Raises:
            StoreFormatError: It is none, or one of a newer version.
            StorageError: It cannot be used.
        """

    @abstractmethod
    def close(self) -> None:
        """Let everything go."""

    @abstractmethod
    def time(self) -> int:
        """Return the clock of the medium, in milliseconds since the epoch."""

    @abstractmethod
    def exclusive(self, meanwhile: Callable[[], bool]) -> AbstractContextManager[bool]:
        """Keep others from appending, if the medium can.

        Args:
            meanwhile: To be called while others keep this process from it: reads what they append, and tells whether
                there was anything.

        Returns:
            Whether everything that was appended before has to be read first; else `append` finds out.
        """

    @abstractmethod
    def restore(self) -> Iterator[bytes]:
        """Yield the pages of the newest checkpoint, if there is one, and set the position behind it.

        Raises:
            LaggingError: A newer one took its place meanwhile; begin again.
        """

    @abstractmethod
    def read(self, *, exclusive: bool) -> list[bytes]:
        """Return the entries from the position on, and set it behind them.

        Args:
            exclusive: Whether that is inside of `exclusive()`: what was left half written may be removed.

        Raises:
            LaggingError: They are not there any more.
        """

    @abstractmethod
    def append(self, payload: bytes) -> None:
        """Append an entry at the position, and move it on.

        Raises:
            ConflictError: Somebody else did.
            StorageError: Certainly nothing was appended.
            OutcomeUnknownError: The entry is in the log if the position moved on; if not, it may come there yet.
        """

    @property
    def is_doubtful(self) -> bool:
        """Whether it is unknown whether earlier entries will last; `renew` has to come before the next one."""
        return False

    def renew(self, pages: Iterable[bytes]) -> None:
        """Write all that is known as a checkpoint, and go on behind it; inside of `exclusive()`."""
        del pages

    @abstractmethod
    def write_blobs(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        """Write blobs of names that were never used; from any thread.

        Raises:
            StorageError: Some may have been written.
        """

    @abstractmethod
    def read_blobs(self, names: Sequence[str]) -> list[bytes | None]:
        """Return blobs, None for one that is not there; from any thread."""

    @abstractmethod
    def remove_blobs(self, names: Iterable[str]) -> None:
        """Remove blobs that nobody needs; from any thread. What cannot be removed is left to `omniq fsck`."""

    def wake(self, kinds: str) -> None:
        """Wake other processes that wait for something of these kinds."""
        del kinds

    def listen(self, kind: str) -> int | None:
        """Be woken from now on; return a file descriptor that is readable then, None if the medium cannot."""
        del kind
        return None

    def heard(self) -> None:  # noqa: B027 - a medium that wakes nobody has nothing to do
        """Take note of being woken."""

    def chores(self, engine: Engine) -> list[Chore]:
        """Make what follows the log; in the thread that does it."""
        del engine
        return []

    def disown(self) -> None:  # noqa: B027 - most have nothing of the kind
        """In the child of a fork: let go of what would keep others waiting."""

    @property
    def patience(self) -> float:
        """After how many seconds a waiting process has to look for entries of others by itself."""
        return 0.5

    @property
    def shown(self) -> Any:
        """Return what names the store in messages."""
        return ""
