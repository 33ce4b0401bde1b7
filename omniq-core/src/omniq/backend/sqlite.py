"""SQLite for all four roles."""

from __future__ import annotations

from typing import ClassVar

from omniq.backend.single import SingleBackend

__all__ = ["SQLiteBackend"]


class SQLiteBackend(SingleBackend):
    """Keeps all four roles in one SQLite file.

    Args:
        url: Such as `sqlite:///tasks.db` or `tasks.db`; None is `omniq.db`.
        options: The options of the `sqlite` backend.
    """

    backend_type: ClassVar[str] = "sqlite"

    __slots__ = ()
