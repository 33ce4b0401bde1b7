"""Files for all four roles."""

from __future__ import annotations

from typing import ClassVar

from omniq.backend.single import SingleBackend

__all__ = ["FileBackend"]


class FileBackend(SingleBackend):
    """Keeps all four roles in a folder of readable files.

    Args:
        url: The folder; None is `omniq_data`.
        options: The options of the `file` backend.
    """

    backend_type: ClassVar[str] = "file"

    __slots__ = ()
