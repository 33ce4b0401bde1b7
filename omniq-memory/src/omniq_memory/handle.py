"""What the four roles have in common: a handle on a state that is opened and closed."""

# ruff: noqa: D102 - the storage API says what the methods do

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from omniq.errors import StoreClosedError
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq.storage.role import Storage
from omniq_memory.options import shared_state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.storage.backend import BackendConfig
    from omniq_memory.state import MemoryState
    from omniq_memory.waiting import Board, Waiter

__all__ = ["MemoryHandle"]


class MemoryHandle(Storage):
    """Implements what every role has; the roles add their own operations.

    Args:
        state: The store.
    """

    def __init__(self, state: MemoryState) -> None:
        self._shared = state
        self._open = False
        self._was_open = False
        self._waiters: set[Waiter] = set()
        self._capabilities = Capabilities(
            durability=Durability.NONE,
            scope=Scope.PROCESS,
            transaction_domain=state.domain,
            server_version="memory",
        )

    @classmethod
    def configured(cls, config: BackendConfig) -> Self:
        """Make a handle on the store that a configuration means.

        Raises:
            ConfigError: An option was given, or the url is not a memory url.
        """
        return cls(shared_state(config))

    async def open(self) -> None:
        if self._shared.foreign:
            raise self._unusable()
        self._open = self._was_open = True

    async def close(self) -> None:
        self._open = False
        if self._shared.foreign:
            return  # the waiters are the parent's
        for waiter in list(self._waiters):
            waiter.wake()

    @property
    def capabilities(self) -> Capabilities:
        if not self._open:
            raise self._unusable()
        return self._capabilities

    @property
    def _state(self) -> MemoryState:
        """The store, if it may be used."""
        state = self._shared
        if not self._open or state.foreign:
            raise self._unusable()
        return state

    async def _sleep(self, board: Board, keys: Iterable[str], waiter: Waiter, timeout: float | None) -> None:
        """Sleep until the waiter, which the caller put on the board, is woken."""
        self._waiters.add(waiter)
        try:
            await waiter.sleep(timeout)
        finally:
            self._waiters.discard(waiter)
            with self._shared.lock:
                board.remove(keys, waiter)

    def _unusable(self) -> StoreClosedError:
        what = f"{type(self).__name__} on {self._shared.domain}"
        if self._shared.foreign:
            return StoreClosedError(
                f"{what} was made before this process was forked, and memory is not shared between processes. Make a "
                "new OmniQ in the child, or use a backend that processes share, such as sqlite."
            )
        if self._was_open:
            return StoreClosedError(f"{what} is closed. Open it again, or make a new OmniQ.")
        return StoreClosedError(f"{what} is not open. Use `async with`, or await its open() first.")
