"""Reads cron expressions and zone names, and says what is wrong with them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from omniq.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


__all__ = ["Matcher", "load_zone", "parse"]

_ALIASES = {
    "@annually": "0 0 1 1 *",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@midnight": "0 0 * * *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@yearly": "0 0 1 1 *",
}
_FIELDS = {
    "second": (60, "Use 0-59, for example 0 or */10"),
    "minute": (60, "Use 0-59, for example 0, */15 or 0,30"),
    "hour": (24, "Use 0-23, for example 3, 9-17 or */2; a range over midnight is written 22-23,0-4"),
    "day-of-month": (31, "Use 1-31, L (last day) or LW (last weekday), for example 1, 1,15 or L"),
    "month": (12, "Use 1-12 or JAN-DEC, for example 1-3 or JUN"),
    "day-of-week": (8, "Use 0-7 or SUN-SAT (0 and 7 are Sunday), for example MON-FRI, 1#2 (second Monday) or 5L"),
}
_SHORTEST = 5
_PROBE = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall time, in no zone


class Matcher(Protocol):
    """The part of cronsim's `CronSim` that is used: an iterator over the matching times after `dt`."""

    dt: datetime
    hours: set[int]

    def __next__(self) -> datetime:
        """Move `dt` to the next matching time and return it."""
        ...


def parse(expression: str) -> Matcher:
    """Return a matcher for an expression; its `dt` is a wall time without zone, so that it knows of no jumps.

    Raises:
        ConfigError: The expression is invalid or never fires; the message names the field and the fix.
    """
    from cronsim import CronSim, CronSimError

    text = _resolve(expression)
    parts = dict(zip(list(_FIELDS)[-len(text.split()) :], text.split(), strict=True))
    _check_steps(expression, parts)
    try:
        matcher = CronSim(text, _PROBE)
        next(copy.copy(matcher))
    except StopIteration:
        _refuse_impossible(expression)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        if name == "day-of-month" and _is_day(parts[name]):
            _refuse_impossible(expression)
        _refuse(expression, name, parts)
    except (ArithmeticError, AssertionError, TypeError, ValueError) as error:
        raise ConfigError(f"cron expression {expression!r} cannot be understood: {error}.") from error
    return cast("Matcher", matcher)


def _resolve(expression: object) -> str:
    """Return the five or six fields that an expression stands for."""
    text = expression.strip() if isinstance(expression, str) else ""
    if text.startswith("@"):
        alias = _ALIASES.get(text.lower())
        if alias is None:
            raise ConfigError(
                f"cron expression {expression!r}: unknown alias. Use one of {', '.join(sorted(_ALIASES))}, "
                "or five fields; for a fixed distance use an interval schedule."
            )
        return alias
    if len(text.split()) not in {_SHORTEST, len(_FIELDS)}:
        raise ConfigError(
            f"cron expression {expression!r} has {len(text.split())} fields instead of five: minute hour day-of-month "
            "month day-of-week, for example '30 3 * * MON-FRI' (a sixth one in front is seconds)."
        )
    return text


def _check_steps(expression: str, parts: dict[str, str]) -> None:
    """Refuse steps that reach past their field: `*/90` would quietly mean once an hour."""
    for name, part in parts.items():
        for term in part.split(","):
            step = term.partition("/")[2]
            if step.isascii() and step.isdigit() and (len(step) > len("99") or int(step) >= _FIELDS[name][0]):
                raise ConfigError(
                    f"cron expression {expression!r}: the step in the {name} field {part!r} is longer than the "
                    f"field. {_FIELDS[name][1]}; for other distances use an interval schedule."
                )


def _is_day(part: str) -> bool:
    from cronsim import CronSim, CronSimError

    try:
        CronSim(f"0 0 {part} * *", _PROBE)
    except CronSimError:
        return False
    return True


def _refuse(expression: str, name: str, parts: dict[str, str]) -> NoReturn:
    if name not in parts:
        raise ConfigError(f"cron expression {expression!r} cannot be understood: {name}.") from None
    raise ConfigError(
        f"cron expression {expression!r}: bad {name} field {parts[name]!r}. {_FIELDS[name][1]}."
    ) from None


def _refuse_impossible(expression: str) -> NoReturn:
    raise ConfigError(
        f"cron expression {expression!r} never fires: no month it names has such a day. "
        "Check the day-of-month and month fields; L is the last day of any month."
    ) from None


def load_zone(key: str) -> tzinfo:
    """Return the time zone with an IANA key.

    Raises:
        ConfigError: There is none; the message guesses which one was meant.
    """
    if key == "UTC":
        return UTC  # needs no time zone database, which small images do not have
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(key)
    except Exception as error:  # a folder's name, a path, a broken file: each raises something else
        known = available_timezones()
        if not known:
            raise ConfigError(
                f"time zone {key!r} cannot be loaded: this system has no time zone database. Run: pip install tzdata"
            ) from error
        guesses = " or ".join(repr(guess) for guess in _guess_zone(str(key), known))
        hint = f"Did you mean {guesses}?" if guesses else "Use an IANA key such as 'UTC' or 'Europe/Berlin'."
        raise ConfigError(f"unknown time zone {key!r}. {hint}") from error


def _guess_zone(key: str, known: AbstractSet[str]) -> list[str]:
    from difflib import get_close_matches

    spelled = key.strip().replace(" ", "_").lower()
    places: dict[str, list[str]] = {}
    for zone in sorted(known):
        for name in {zone.lower(), zone.lower().rpartition("/")[2]}:
            places.setdefault(name, []).append(zone)
    close = [spelled] if spelled in places else get_close_matches(spelled, places, n=2, cutoff=0.75)
    return [zone for name in close for zone in places[name]][:2]
