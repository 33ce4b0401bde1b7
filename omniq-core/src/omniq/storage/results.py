"""The result storage role."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from omniq.storage.role import Storage

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from omniq.models.result import ResultRecord

__all__ = ["ResultStorage"]


class ResultStorage(Storage):
    """Outcomes by task id, each kept for its time to live.

    Every method takes `now` in milliseconds since the epoch; None means the store's own clock. Only the conformance
    suite passes it.
    """

    @abstractmethod
    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> builtins.list[bool]:
        """Store each outcome unless one with a larger (seq, epoch) is stored for its id.

        An equal (seq, epoch) overwrites, so that a repeated call is harmless. Atomic per record. The time to live
        starts at `now`. A stored record that has expired still counts in the comparison until it is purged.

        Returns:
            Per record whether it is the stored one now.

        Raises:
            LimitExceededError: A value is over `max_payload_bytes`; nothing of the batch was stored.
        """

    @abstractmethod
    async def get(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[ResultRecord | None]:
        """Return the outcome of each id; None if there is none or it has expired (expires_at <= now)."""

    @abstractmethod
    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        """Remove outcomes; True for each that was there, expired or not."""

    @abstractmethod
    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        """Return the unexpired outcomes with id > `after`, by id in code point order, at most `limit`.

        Every record whose membership does not change during a scan is returned exactly once.
        """

    @abstractmethod
    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        """Remove the first `limit` expired outcomes by `expires_at` from the medium and return how many."""
