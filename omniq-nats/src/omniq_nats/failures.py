"""What each failure of the driver or the server means to a caller; the only such table."""

from __future__ import annotations

import json

from nats import errors

from omniq.errors import ConfigError, ConnectionLostError, OmniQError, StorageError

__all__ = ["NETWORK", "RefusedError", "answer_of", "lost", "not_reached"]

NETWORK = (OSError, TimeoutError, EOFError, errors.Error)
"""What a connection raises that cannot be made or broke."""

_FULL = {10002, 10023, 10028, 10047, 10077}
"""Codes of servers or accounts without room."""
_AWAY = {10009, 10167}
"""Codes of servers that cannot serve at the moment, besides those of the class 503: no leader, overloaded."""


class RefusedError(Exception):
    """The server's own refusal of a request.

    Attributes:
        code: JetStream's number of the error.
        status: The number of its class, such as 404.
    """

    def __init__(self, code: int, status: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.status = status

    @property
    def is_away(self) -> bool:
        """Whether the server may do it a little later."""
        return self.code in _AWAY or (self.status == 503 and self.code not in _FULL)  # noqa: PLR2004 - of HTTP

    def mapped(self) -> OmniQError:
        """Return the error for callers; what the server refuses was not applied."""
        if self.is_away:
            return ConnectionLostError(f"JetStream cannot serve at the moment: {self}. Nothing was changed; try again.")
        if self.code in _FULL:
            return StorageError(
                f"JetStream has no room: {self}. Raise the limits of the account or the server's max_file_store, or "
                "purge tasks, results and events."
            )
        return StorageError(f"JetStream refused a request: {self}.")


def answer_of(data: bytes) -> dict[str, object]:
    """Return the answer of JetStream's API.

    Raises:
        RefusedError: It is an error.
    """
    answer: dict[str, object] = json.loads(data) if data else {}
    error = answer.get("error")
    if isinstance(error, dict):
        raise RefusedError(error.get("err_code", 0), error.get("code", 0), error.get("description", "unknown error"))
    return answer


def lost(where: str, what: object) -> ConnectionLostError:
    """Return the error of an answer that did not come, to a request that changes nothing."""
    return ConnectionLostError(
        f"The answer of the server at {where} was lost ({what}). Nothing was changed; try again."
    )


def not_reached(error: BaseException | None, where: str) -> OmniQError:
    """Return the error of a server that was not reached, so that nothing was sent to it."""
    text = str(error).removeprefix("nats: ").strip("'\" ") or "it did not answer in time"
    made: OmniQError
    if isinstance(error, errors.AuthorizationError) or "uthorization" in text or "uthentication" in text:
        made = ConfigError(f"The server at {where} refused the login: {text}. Check user, token, nkey or credentials.")
    else:
        made = ConnectionLostError(f"The server at {where} cannot be reached: {text}. Nothing was changed; try again.")
    made.__cause__ = error
    return made
