"""The only place that reads the time of day.

Stores and the storage API count **integer milliseconds since 1970-01-01 UTC**; the public API has aware datetimes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from omniq.errors import ConfigError

__all__ = ["Clock", "FakeClock", "SystemClock", "from_millis", "to_millis"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """Tells the time in integer milliseconds since the epoch, UTC."""

    def now(self) -> int:
        """Return the current time in milliseconds since the epoch."""
        ...


class SystemClock:
    """The clock of this host."""

    __slots__ = ()

    def now(self) -> int:
        """Return the host's time in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class FakeClock:
    """A clock that stands still until it is moved; for tests."""

    __slots__ = ("_now",)

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._now = now

    def now(self) -> int:
        """Return the time that the clock was moved to."""
        return self._now

    def advance(self, *, milliseconds: int = 0, seconds: float = 0) -> int:
        """Move the clock (backwards if negative) and return the new time."""
        self._now += milliseconds + round(seconds * 1000)
        return self._now


def to_millis(value: datetime, name: str = "value") -> int:
    """Convert an aware datetime to milliseconds since the epoch, rounding up to the next whole millisecond.

    Args:
        value: An aware datetime in any zone.
        name: What the value is called in the error message.

    Raises:
        ConfigError: The datetime is naive.
    """
    if value.tzinfo is None or value.utcoffset() is None:
        msg = (
            f"{name}: {value!r} has no time zone. Say which zone is meant, "
            "for example datetime.now(timezone.utc) or value.replace(tzinfo=ZoneInfo('Europe/Berlin'))."
        )
        raise ConfigError(msg)
    return -((_EPOCH - value) // _MILLISECOND)


def from_millis(value: int) -> datetime:
    """Convert milliseconds since the epoch to an aware UTC datetime."""
    return _EPOCH + timedelta(milliseconds=value)
