"""PostgreSQL for all four roles."""

from __future__ import annotations

from typing import ClassVar

from omniq.backend.single import SingleBackend

__all__ = ["PostgresBackend"]


class PostgresBackend(SingleBackend):
    """Keeps all four roles in a PostgreSQL database.

    Args:
        url: Such as `postgresql://user:pass@localhost:5432/omniq`.
        options: The options of the `postgres` backend.
    """

    backend_type: ClassVar[str] = "postgres"

    __slots__ = ()
