"""What each failure of a file system or an object store means to a caller; the only such table."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from omniq.errors import ConnectionLostError, OmniQError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_away", "is_refused_condition", "mapped", "mapping"]

FAILURES = (OSError, EOFError)
_DRIVERS = frozenset({"aiobotocore", "aiohttp", "botocore", "fsspec"})
_REFUSALS = (PermissionError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)

_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space and try again.",
    errno.EDQUOT: "The quota is used up: free some space and try again.",
    errno.EFBIG: "The file may not grow any more: see the limits of the process (ulimit -f) and of the file system.",
    errno.EROFS: "The file system may not be written to.",
    errno.EACCES: "See who may read and write the folder and its files.",
    errno.EPERM: "See who may read and write the folder and its files.",
    errno.EMFILE: "The process has too many files open: see `ulimit -n`.",
    errno.EIO: "The disk reported an error: see the system's log.",
}

_UNREAD = frozenset({"400", "408", "409", "500", "502", "504"})
"""Answers without a code of S3: of something between, or to half a request."""
_PASSING = _UNREAD | {
    *("ConditionalRequestConflict", "IncompleteBody", "InternalError", "OperationAborted", "RequestTimeout"),
    *("ServiceUnavailable", "SlowDown"),
}


def _code(error: BaseException) -> str:
    """Return what an S3 server called the failure."""
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def is_refused_condition(error: BaseException) -> bool:
    """Tell whether an object was not created because it is there."""
    return isinstance(error, FileExistsError) or _code(error) in {"412", "PreconditionFailed"}


def is_away(error: BaseException) -> bool:
    """Tell whether a store could not be reached, or did not answer in time, or asks to try again."""
    if isinstance(error, (ConnectionError, TimeoutError, EOFError)) or _is_drivers(error) or _code(error) in _PASSING:
        return True
    return isinstance(error, OSError) and not isinstance(error, _REFUSALS) and error.errno in {None, errno.EBUSY}


def _is_drivers(error: BaseException) -> bool:
    return isinstance(error, Exception) and type(error).__module__.partition(".")[0] in _DRIVERS


def mapped(error: BaseException, what: str) -> BaseException:
    """Return the OmniQ error for a failure after which certainly nothing was changed; others come back unchanged.

    Args:
        error: What was raised.
        what: What failed, such as `Writing to /var/lib/omniq`.
    """
    if isinstance(error, OmniQError) or not (isinstance(error, FAILURES) or _is_drivers(error)):
        return error
    code = getattr(error, "errno", None)
    away = is_away(error)
    remedy = _REMEDIES.get(code or 0, "Try again." if away else "Nothing was changed.")
    kind = ConnectionLostError if away else StorageError
    found = kind(f"{what} failed: {type(error).__name__}: {error}. {remedy}")
    found.__cause__ = error
    return found


@contextlib.contextmanager
def mapping(what: str) -> Iterator[None]:
    """Raise the OmniQ error for a failure of the block, as `mapped` has it."""
    try:
        yield
    except BaseException as error:
        found = mapped(error, what)
        if found is error:
            raise
        raise found from error
