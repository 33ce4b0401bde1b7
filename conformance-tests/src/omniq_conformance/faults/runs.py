"""What the children of the fork server do."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from omniq_conformance.faults.performing import perform
from omniq_conformance.faults.scenario import scenario

if TYPE_CHECKING:
    from omniq_conformance.faults.ledger import Ledger
    from omniq_conformance.space import Space

__all__ = ["performed", "performed_and_killed"]


async def performed(space: Space, ledger: Ledger) -> None:
    """Perform the scenario."""
    await perform(space, scenario(space.mode), ledger)


async def performed_and_killed(space: Space, ledger: Ledger) -> None:
    """Perform the scenario and die at once, with everything open."""
    await perform(space, scenario(space.mode), ledger, close=False)
    os.kill(os.getpid(), signal.SIGKILL)
