"""Memory for all four roles."""

from __future__ import annotations

from typing import ClassVar

from omniq.backend.single import SingleBackend

__all__ = ["MemoryBackend"]


class MemoryBackend(SingleBackend):
    """Keeps all four roles in the memory of this process, for tests.

    Args:
        url: Leave it out.
        options: The options of the `memory` backend.
    """

    backend_type: ClassVar[str] = "memory"

    __slots__ = ()
