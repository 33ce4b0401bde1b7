"""What is kept of an exception that ended an attempt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from omniq.errors import SerializationError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ErrorInfo"]

_MESSAGE_BYTES = 4_096
_TRACEBACK_BYTES = 16_384
_SUMMARY_LENGTH = 500


@attrs.frozen(kw_only=True)
class ErrorInfo:
    """An exception as text, so that any process can show it without the exception's class.

    Attributes:
        type: The qualified name of its class, without `builtins.`; or a reason such as `expired` if no code ran.
        message: Its text, at most 4 kB of UTF-8.
        traceback: The formatted traceback with causes, at most 16 kB of UTF-8, cut in the middle; empty if no code ran.
    """

    type: str
    message: str = ""
    traceback: str = ""

    @classmethod
    def from_exception(cls, exc: BaseException, *, drop_frames: int = 0, limit: int = _TRACEBACK_BYTES) -> ErrorInfo:
        """Describe an exception; this never raises, whatever the exception's own methods do.

        Args:
            exc: The exception.
            drop_frames: How many outermost frames are OmniQ's own and are left out of the traceback.
            limit: The longest traceback, in bytes of UTF-8.
        """
        kind = type(exc)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        try:
            message = str(exc)
        except Exception as broken:  # noqa: BLE001 - the user's __str__ may do anything
            message = f"<str() of this exception raised {type(broken).__qualname__}>"
        return cls(
            type=_clean(name),
            message=_shorten(message, _MESSAGE_BYTES, kept_at_end=0),
            traceback=_shorten(_format(exc, drop_frames), limit, kept_at_end=limit // 2),
        )

    def summary(self) -> str:
        """Return one line of at most 500 characters, such as `ValueError: boom`."""
        line = " ".join((f"{self.type}: {self.message}" if self.message else self.type).split())
        return line if len(line) <= _SUMMARY_LENGTH else f"{line[: _SUMMARY_LENGTH - 3]}..."

    def to_json(self) -> str:
        """Return the record as JSON text in ASCII."""
        return json.dumps({"type": self.type, "message": self.message, "traceback": self.traceback})

    @classmethod
    def from_json(cls, text: str | bytes) -> ErrorInfo:
        """Read what `to_json` wrote; keys that a newer version may have added are passed over.

        Raises:
            SerializationError: It is not such a record.
        """
        try:
            data = json.loads(text)
            fields = {key: data.get(key, "") for key in ("type", "message", "traceback")}
        except (AttributeError, ValueError, RecursionError) as error:
            raise SerializationError(f"not an error record: {error}. It starts with {text[:40]!r}.") from error
        if not fields["type"] or not all(isinstance(value, str) for value in fields.values()):
            raise SerializationError(f"not an error record, its texts are missing or of another type: {text[:40]!r}.")
        return cls(**fields)


def _format(exc: BaseException, drop_frames: int) -> str:
    from traceback import TracebackException  # keeps `import omniq` light

    frames: TracebackType | None = exc.__traceback__
    for _ in range(drop_frames):
        if frames is None or frames.tb_next is None:
            break  # an error that OmniQ itself raised keeps the frame that raised it
        frames = frames.tb_next
    try:
        return "".join(TracebackException(type(exc), exc, frames).format())
    except Exception as broken:  # noqa: BLE001 - attributes of the user's exception may do anything
        return f"<the traceback could not be formatted: {type(broken).__qualname__}>"


def _clean(text: str) -> str:
    """Replace what UTF-8 or a text column cannot hold: lone surrogates and NUL."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def _shorten(text: str, limit: int, *, kept_at_end: int) -> str:
    data = _clean(text).encode()
    if len(data) <= limit:
        return data.decode()
    note = f"\n... {len(data) - limit} bytes left out ...\n" if kept_at_end else "..."
    kept_at_end = max(0, kept_at_end - len(note))
    head = data[: max(0, limit - kept_at_end - len(note))].decode("utf-8", "ignore")
    tail = data[len(data) - kept_at_end :].decode("utf-8", "ignore")
    return f"{head}{note}{tail}"[:limit]
