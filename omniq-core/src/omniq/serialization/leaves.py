"""Values without parts that need a tag: each type's tag, its plain form, and the way back."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from omniq.serialization.refusal import ValueRefusedError, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LEAF_DECODERS", "LEAF_ENCODERS"]


def _bytes_text(value: bytes) -> str:
    from base64 import b64encode

    return b64encode(value).decode("ascii")


def _text_bytes(text: str) -> bytes:
    from base64 import b64decode

    return b64decode(text, validate=True)


def _zoned_text(value: datetime | time) -> str:
    """Write ISO 8601 with the zone in brackets as in RFC 9557, and `[fold=1]` if the fold is set."""
    text = value.replace(fold=0).isoformat()
    if type(value.tzinfo) not in {type(None), timezone}:
        text = f"{value.replace(tzinfo=None, fold=0).isoformat()}[{_zone_key(value.tzinfo)}]"
    return f"{text}[fold=1]" if value.fold else text


def _zone_key(zone: tzinfo | None) -> str:
    from zoneinfo import ZoneInfo

    if type(zone) is ZoneInfo and zone.key:
        return zone.key
    msg = (
        f"has a time zone of type {type_name(type(zone))} that has no name to store. Use zoneinfo.ZoneInfo('...') or "
        "datetime.timezone, for example value.astimezone(ZoneInfo('Europe/Berlin'))."
    )
    raise ValueRefusedError(msg)


def _from_zoned_text(cls: type[datetime | time], text: str) -> datetime | time:
    fold = int(text.endswith("[fold=1]"))
    text = text.removesuffix("[fold=1]")
    value = cls.fromisoformat(text.partition("[")[0])
    if text.endswith("]"):
        from zoneinfo import ZoneInfo

        value = value.replace(tzinfo=ZoneInfo(text[:-1].partition("[")[2]))
    return value.replace(fold=fold)


LEAF_ENCODERS: dict[type, Callable[[Any], tuple[str, object]]] = {
    int: lambda value: ("int", hex(value)),
    float: lambda value: ("float", repr(value)),
    str: lambda value: ("str", _bytes_text(value.encode("utf-8", "surrogatepass"))),
    bytes: lambda value: ("bytes", _bytes_text(value)),
    datetime: lambda value: ("datetime", _zoned_text(value)),
    time: lambda value: ("time", _zoned_text(value)),
    date: lambda value: ("date", value.isoformat()),
    timedelta: lambda value: ("timedelta", [value.days, value.seconds, value.microseconds]),
    Decimal: lambda value: ("decimal", str(value)),
    UUID: lambda value: ("uuid", str(value)),
    type(Path()): lambda value: ("path", value.as_posix()),
    PurePosixPath: lambda value: ("pure_posix_path", str(value)),
    PureWindowsPath: lambda value: ("pure_windows_path", str(value)),
}

LEAF_DECODERS: dict[str, Callable[[Any], object]] = {
    "int": lambda text: int(text, 16),
    "float": float,
    "str": lambda text: _text_bytes(text).decode("utf-8", "surrogatepass"),
    "bytes": _text_bytes,
    "datetime": lambda text: _from_zoned_text(datetime, text),
    "time": lambda text: _from_zoned_text(time, text),
    "date": date.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "decimal": Decimal,
    "uuid": UUID,
    "path": Path,
    "pure_posix_path": PurePosixPath,
    "pure_windows_path": PureWindowsPath,
}
