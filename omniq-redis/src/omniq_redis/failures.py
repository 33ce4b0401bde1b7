"""What each failure of the driver or the server means to a caller; the only such table."""

from __future__ import annotations

from redis import exceptions

from omniq.errors import ConfigError, ConnectionLostError, OmniQError, OutcomeUnknownError, StorageError
from omniq_redis.tls import tls_failure, tls_hint

__all__ = ["NETWORK", "not_applied", "refused", "unknown"]

NETWORK = (exceptions.ConnectionError, exceptions.TimeoutError, OSError, TimeoutError, EOFError)
"""What a connection raises when it broke or took too long."""

_ELSEWHERE = (
    exceptions.AskError,
    exceptions.BusyLoadingError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.MovedError,
    exceptions.ReadOnlyError,
    exceptions.TryAgainError,
)
_ELSEWHERE_CODES = ("BUSY", "NOREPLICAS", "UNKILLABLE")
"""Refusals of a server that cannot serve at the moment."""
_REMEDIES = {
    "OOM": "The server's memory is full: raise its maxmemory, or purge tasks, results and events.",
    "MISCONF": "The server cannot write its data to disk: look at its log, and free some space.",
}

_PERMISSIONS = "docs/how-to/use-redis.md has the permissions that the user needs."


def not_applied(error: BaseException, where: str, *, is_tls: bool) -> OmniQError:
    """Return the error of a server that was not reached, so that nothing was sent to it."""
    of_tls = tls_failure(error, where)
    if isinstance(error, exceptions.AuthenticationError):
        made: OmniQError = ConfigError(
            f"The server at {where} refused the login: {error}. Check username and password."
        )
    elif isinstance(error, exceptions.ResponseError):
        made = refused(error)
    elif of_tls is not None:
        made = of_tls
    else:
        what = (str(error) or "it did not answer in time").rstrip(".")
        hint = f" {tls_hint(is_tls=is_tls)}" if _was_taken(error) else ""
        made = ConnectionLostError(
            f"The server at {where} cannot be reached: {what}. Nothing was changed; try again.{hint}"
        )
    made.__cause__ = error
    return made


def _was_taken(error: BaseException) -> bool:
    """Tell whether somebody took the connection, who then broke it off or said nothing."""
    while True:
        if isinstance(error, ConnectionResetError | TimeoutError | exceptions.TimeoutError):
            return True
        behind = error.__cause__ or error.__context__
        if behind is None:
            return "closed by server" in str(error)
        error = behind


def unknown(error: BaseException, where: str, *, changes: bool) -> OmniQError:
    """Return the error of a reply that did not come."""
    what = str(error) or "it did not answer in time"
    made: OmniQError
    if changes:
        made = OutcomeUnknownError(f"The reply of the server at {where} was lost ({what}): it may have been applied.")
    else:
        made = ConnectionLostError(
            f"The reply of the server at {where} was lost ({what}). Nothing was changed; try again."
        )
    made.__cause__ = error
    return made


def refused(error: exceptions.RedisError) -> OmniQError:
    """Return the error for an error reply; a script that the server refuses has changed nothing."""
    text = str(error)
    code = text.split(" ", 1)[0]
    made: OmniQError
    if isinstance(error, _ELSEWHERE) or code in _ELSEWHERE_CODES:
        made = ConnectionLostError(f"The server cannot serve at the moment: {text}. Nothing was changed; try again.")
    elif isinstance(error, exceptions.AuthenticationError):
        made = ConfigError(f"The server refuses access: {text}. Check username and password.")
    elif isinstance(error, exceptions.NoPermissionError) or text.startswith("ACL failure"):
        made = ConfigError(f"The server refuses access: {text}. {_PERMISSIONS}")
    elif isinstance(error, exceptions.OutOfMemoryError):
        made = StorageError(f"Nothing was changed: {text}. {_REMEDIES['OOM']}")
    elif code in _REMEDIES:
        made = StorageError(f"Nothing was changed: {text}. {_REMEDIES[code]}")
    else:
        made = OutcomeUnknownError(f"A script failed on the server: {text}")
    made.__cause__ = error
    return made
