"""Which roles a backend offers: what its plugin says, proved by asking for one that it does not offer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from omniq.errors import UnknownBackendError
from omniq.models.config import Role
from omniq.storage.plugins import load_backend
from omniq_conformance.outcomes import DivergenceError, UnsupportedError, UnverifiedError

if TYPE_CHECKING:
    from omniq_conformance.harness import Harness

__all__ = ["absence", "offered_roles"]


def offered_roles(backend: str) -> frozenset[Role]:
    """Return the roles that an installed backend offers; none if it is not installed."""
    for role in Role:
        with contextlib.suppress(UnknownBackendError):
            return load_backend(backend, role).info.roles
    return frozenset()


def absence(role: Role, harness: Harness | None) -> Exception:
    """Return how a case ends that needs a role which the harness did not open.

    Args:
        role: The role.
        harness: Of the backend; None if that is not known.

    Returns:
        An UnsupportedError if the plugin does not declare the role and asking for it is refused as documented, an
        UnverifiedError if it declares the role or cannot be asked, a DivergenceError if it is not refused.
    """
    backend = None if harness is None else harness.keeper(role).backend
    offered = frozenset[Role]() if backend is None else offered_roles(backend)
    if backend is None or not offered or role in offered:
        return UnverifiedError(
            f"The harness opens no {role}. Open it in Harness.open() if the backend offers the role; if it does not, "
            f"install it under the name {backend!r}, and leave the role out of its BackendInfo."
        )
    try:
        load_backend(backend, role)
    except UnknownBackendError as refusal:
        return UnsupportedError(f"The backend offers no {role}: {str(refusal).splitlines()[0]}.")
    return DivergenceError(f"{backend!r} does not declare the {role}, and asking for it is not refused.")
