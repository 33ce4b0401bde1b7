"""Durations as people write them: seconds, a `timedelta`, or text with a unit."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from omniq.models.redaction import show

__all__ = ["DAY", "parse_seconds", "seconds_to_millis"]

DAY = 86_400
"""Seconds of a day."""

_LONGEST = 100 * 366 * DAY
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": float(DAY), "w": 7.0 * DAY}
_TEXT = r"\s*([+-]?\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*"
_FOR_EVER = frozenset({"none", "never", "null"})
_REMEDY = "Give seconds (3600), a timedelta, or text with a unit ('90s', '15m', '24h', '30d'); None means for ever"


def _number_of(value: object) -> float:
    match value:
        case bool():
            pass
        case int() | float():
            return value
        case timedelta():
            seconds = value.total_seconds()
            return int(seconds) if seconds.is_integer() else seconds
        case str():
            match = re.fullmatch(_TEXT, value)
            unit = _UNITS.get(match[2].lower()) if match else None
            if match and unit is not None:
                seconds = float(match[1]) * unit
                return int(seconds) if seconds.is_integer() else seconds
        case _:
            pass
    msg = f"{show(value)} is not a duration. {_REMEDY}"
    raise ValueError(msg)


def parse_seconds(value: object) -> float | None:
    """Convert a duration to seconds; whole seconds stay whole numbers.

    Args:
        value: Seconds as int or float, a timedelta, text such as `24h`, or None (`"none"`, `"never"`) for ever.

    Raises:
        ValueError: It is not a duration, negative, or longer than a hundred years.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in _FOR_EVER):
        return None
    seconds = _number_of(value)
    if math.isnan(seconds) or seconds < 0:
        msg = f"{show(value)} is negative or no number. {_REMEDY}"
        raise ValueError(msg)
    if seconds > _LONGEST:
        msg = f"{show(value)} is more than a hundred years. Use None for ever"
        raise ValueError(msg)
    return seconds


def seconds_to_millis(seconds: float | None) -> int | None:
    """Convert seconds to the whole milliseconds that stores count in, rounding up; None stays None."""
    return None if seconds is None else math.ceil(round(seconds * 1000, 3))
