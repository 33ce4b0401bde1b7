"""What each failure of the driver or the server means to a caller; the only such table."""

from __future__ import annotations

import ssl

import asyncpg  # type: ignore[import-untyped]

from omniq.errors import ConfigError, ConnectionLostError, OmniQError, OutcomeUnknownError, StorageError

__all__ = ["NETWORK", "deadlocked", "is_broken", "mapped", "not_connected"]

NETWORK = (OSError, TimeoutError, EOFError, asyncpg.InterfaceError, asyncpg.PostgresError, asyncpg.InternalClientError)
"""What a call of the driver raises when it fails."""

_CONNECTION = "08"
_LOGIN = "28"
_RESOURCES = "53"
_OPERATOR = "57"
_ROLLED_BACK = "40"
_ENDED = ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03")
"""The server ends the session, or starts, or recovers."""
_READ_ONLY = "25006"
_REMEDIES = {
    "42501": "Grant it: docs/how-to/use-postgres.md has the permissions that the user needs.",
    "42883": "A function of the schema is missing: run `omniq migrate`.",
    "42P01": "A table of the schema is missing: run `omniq migrate`.",
    "3F000": "The schema is missing: run `omniq migrate`.",
    "53100": "The server's disk is full.",
    "22021": "A text is no UTF-8.",
}


def not_connected(error: BaseException, where: str) -> OmniQError:
    """Return the error of a server that was not reached, so that nothing was sent to it."""
    code = getattr(error, "sqlstate", None) or ""
    made: OmniQError
    if code.startswith(_LOGIN):
        made = ConfigError(f"The server at {where} refused the login: {error}. Check username and password.")
    elif code == "3D000":
        made = ConfigError(f"The server at {where} has no such database: {error}. Create it, or check `database`.")
    elif isinstance(error, ssl.SSLError):
        made = ConnectionLostError(f"TLS with the server at {where} failed: {error}. Check `ssl` and `ssl_ca`.")
    else:
        what = str(error) or "it did not answer in time"
        made = ConnectionLostError(f"The server at {where} cannot be reached: {what}. Nothing was changed; try again.")
    made.__cause__ = error
    return made


def mapped(error: BaseException, where: str, *, changes: bool) -> OmniQError:
    """Return the error of a statement.

    Args:
        error: What the driver raised.
        where: The server, for the message.
        changes: Whether the statement may change anything.
    """
    if isinstance(error, OmniQError):
        return error
    code = getattr(error, "sqlstate", None) or ""
    made: OmniQError
    if is_broken(error):
        what = str(error) or "it did not answer in time"
        if changes:
            made = OutcomeUnknownError(
                f"The reply of the server at {where} was lost ({what}): it may have been applied."
            )
        else:
            made = ConnectionLostError(f"The reply of the server at {where} was lost ({what}). Try again.")
    elif code.startswith((_ROLLED_BACK, _OPERATOR, _RESOURCES)) or code in {_READ_ONLY, "55P03"}:
        remedy = _REMEDIES.get(code, "Try again.")
        made = ConnectionLostError(f"The server at {where} cannot do it now: {error}. Nothing was changed. {remedy}")
    else:
        made = StorageError(f"PostgreSQL: {error} ({code}). Nothing was changed. {_REMEDIES.get(code, '')}".strip())
    made.__cause__ = error
    return made


def is_broken(error: BaseException) -> bool:
    """Tell whether the connection is of no more use."""
    code = getattr(error, "sqlstate", None) or ""
    if code.startswith(_CONNECTION) or code in _ENDED:
        return True
    return not isinstance(error, asyncpg.PostgresError)


def deadlocked(error: BaseException) -> bool:
    """Tell whether the server undid the statement to let another one go on, so that it can be repeated at once."""
    return getattr(error, "sqlstate", None) in {"40P01", "40001"}
