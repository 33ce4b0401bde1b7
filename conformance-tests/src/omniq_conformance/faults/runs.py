"""What the children of the fork server do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq_conformance.faults.performing import perform
from omniq_conformance.faults.scenario import scenario

if TYPE_CHECKING:
    from omniq_conformance.faults.ledger import Ledger
    from omniq_conformance.space import Space

__all__ = ["performed"]


async def performed(space: Space, ledger: Ledger) -> None:
    """Perform the scenario."""
    await perform(space, scenario(space.mode), ledger)
