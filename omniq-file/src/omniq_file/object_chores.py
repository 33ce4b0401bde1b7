"""What follows the log of an object store: checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq_file.machine.transaction import checkpoint_pages

if TYPE_CHECKING:
    from omniq_file.engine import Engine
    from omniq_file.machine.transaction import Transaction
    from omniq_file.objects import ObjectMedium

__all__ = ["ObjectCompacting"]

_ENTRIES = 500


class ObjectCompacting:
    """Writes a checkpoint when the log has grown, and removes what that made needless long ago.

    Args:
        engine: Knows what there is.
        medium: Keeps it.
    """

    def __init__(self, engine: Engine, medium: ObjectMedium) -> None:
        self._engine = engine
        self._medium = medium
        self._latest = engine.base

    def close(self) -> None:
        """Let nothing go: there is nothing."""

    def run(self, *, closing: bool) -> float | None:
        """Write a checkpoint if that is worth it."""
        if not closing and self._medium.position - self._latest >= _ENTRIES:
            self.compact()
        return None

    def compact(self) -> int:
        """Write a checkpoint, and return the number of the first entry behind it."""
        number, pages = self._engine.ask(self._pages)
        self._medium.write_checkpoint(number, pages)
        self._latest = number
        self._medium.remove_needless()
        return number

    def _pages(self, tx: Transaction) -> tuple[int, list[bytes]]:
        number = self._medium.position
        return number, list(checkpoint_pages(tx.view, number, self._engine.format))
