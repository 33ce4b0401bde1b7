"""How each setting is checked and converted, one function each.

A setting that was left out is told apart from one that was given its default value, because only the former may be
filled in from the environment; and a refused value is kept rather than raised, because all faults are reported at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from omniq.models.durations import parse_seconds
from omniq.models.faults import closest
from omniq.models.redaction import show

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = [
    "SETTING",
    "Refused",
    "Unset",
    "lenient",
    "parse_name",
    "parse_options",
    "parse_url",
    "to_key",
    "to_log_level",
    "to_modules",
    "to_name",
    "to_path",
    "to_seconds",
    "unset",
]

SETTING: Mapping[str, bool] = {"omniq_setting": True}
"""Marks attrs fields whose converter answers `Refused` rather than raising."""

_LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
_SHORTEST_KEY = 16
_MODULE = r"[^\W\d]\w*(\.[^\W\d]\w*)*"

T = TypeVar("T")


class Unset:
    """Stands for a setting that was left out; holds the default."""

    __slots__ = ("default",)

    def __init__(self, default: object) -> None:
        self.default = default

    def __repr__(self) -> str:
        return repr(self.default)


class Refused:
    """What a lenient converter answers for a value that it refuses, so that all faults are reported at once."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message


def unset(default: T) -> T:
    """Return the marker that makes a setting known as left out, with its default."""
    return cast("T", Unset(default))


def lenient(parse: Callable[[object], T], value: object) -> T:
    """Parse a value; pass on the left-out marker, and turn a ValueError into `Refused`."""
    if isinstance(value, Unset):
        return cast("T", value)
    try:
        return parse(value)
    except ValueError as error:
        return cast("T", Refused(str(error)))


def parse_name(value: object) -> str:
    """Return the value if it is text with something in it.

    Raises:
        ValueError: It is anything else.
    """
    if isinstance(value, str) and value.strip():
        return value.strip()
    msg = f"{show(value)} is not a name. Give text, or leave the setting out for its default"
    raise ValueError(msg)


def _parse_log_level(value: object) -> str:
    name = parse_name(value).upper()
    if name in _LOG_LEVELS:
        return name
    meant = closest(name, _LOG_LEVELS)
    hint = f"Did you mean {meant!r}? " if meant else ""
    msg = f"{show(value)} is not a log level. {hint}Use one of {', '.join(_LOG_LEVELS)}"
    raise ValueError(msg)


def _parse_path(value: object) -> Path | None:
    if value is None:
        return None
    if isinstance(value, str | os.PathLike) and str(value).strip():
        return Path(value).expanduser()
    msg = f"{show(value)} is not a path. Give text or a Path"
    raise ValueError(msg)


def _parse_key(value: object) -> bytes | None:
    if value is None:
        return None
    key = value.encode() if isinstance(value, str) else value
    if isinstance(key, bytes) and len(key) >= _SHORTEST_KEY:
        return key
    msg = (
        f"not text or bytes of at least {_SHORTEST_KEY} bytes (the value is not shown). "
        'Make one with: python -c "import secrets; print(secrets.token_hex(32))"'
    )
    raise ValueError(msg)


def _parse_modules(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    items: list[object] = []
    if isinstance(value, str):
        items = [item.strip() for item in value.split(",") if item.strip()]
    elif isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        items = list(value)
    else:
        items = [value]
    for item in items:
        if not isinstance(item, str) or not re.fullmatch(_MODULE, item):
            msg = f"{show(item)} is not a module. Give dotted names such as ['my_app.tasks', 'reports']"
            raise ValueError(msg)
    return cast("tuple[str, ...]", tuple(items))


def parse_url(value: object) -> str | None:
    """Return a url or a path as text.

    Raises:
        ValueError: It is neither.
    """
    if value is None:
        return None
    if isinstance(value, str | os.PathLike) and str(value).strip():
        return str(value).strip()
    msg = f"{show(value)} is not a url. Give text such as 'sqlite:///omniq.db', or leave it out for the default store"
    raise ValueError(msg)


def parse_options(value: object) -> dict[str, Any] | None:
    """Return a copy of the options of a backend.

    Raises:
        ValueError: It is no mapping of names.
    """
    if value is None:
        return None
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return dict(cast("Mapping[str, Any]", value))
    msg = f"{show(value)} is not a mapping of options. Give one such as {{'timeout': 30.0}}"
    raise ValueError(msg)


def to_name(value: str) -> str:
    """Accept text that is not empty."""
    return lenient(parse_name, value)


def to_log_level(value: str) -> str:
    """Convert a log level, in any case."""
    return lenient(_parse_log_level, value)


def to_seconds(value: float | timedelta | str | None) -> float | None:
    """Convert a duration to seconds."""
    return lenient(parse_seconds, value)


def to_path(value: str | os.PathLike[str] | None) -> Path | None:
    """Convert a path, with `~` expanded."""
    return lenient(_parse_path, value)


def to_key(value: str | bytes | None) -> bytes | None:
    """Convert a signing key to bytes."""
    return lenient(_parse_key, value)


def to_modules(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Convert module names, or text with commas between them."""
    return lenient(_parse_modules, value)
