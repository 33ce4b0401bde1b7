"""What cases with several processes need of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.capabilities import Scope
from omniq_conformance.outcomes import UnsupportedError

if TYPE_CHECKING:
    from omniq_conformance.space import Space

__all__ = ["require_processes"]


async def require_processes(space: Space, *roles: Role) -> None:
    """Go on only if several processes can have the same store open.

    Args:
        space: A fresh namespace; it is opened, and is gone afterwards.
        roles: Which roles the case uses; all that the backend offers unless told.

    Raises:
        UnsupportedError: One of them is declared to be one process's own; the message names it and who keeps it.
    """
    async with space:
        stores = await space.open()
        used = {role: stores.role(role) for role in roles or (role for role in Role if role not in stores.absent)}
        own = [role for role, storage in used.items() if storage.capabilities.scope is Scope.PROCESS]
    if own:
        keeper = space.harness.keeper(own[0]).backend
        msg = f"The {own[0]} of {keeper!r} is one process's own (scope process), other processes cannot open it."
        raise UnsupportedError(msg)
