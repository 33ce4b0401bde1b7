"""Turns the text of arguments and options into values; the functions are given to click as types."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from omniq.models.durations import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["duration", "json_value", "moment", "names_of", "pairs_of", "values_of"]


def duration(value: str | timedelta) -> timedelta:
    """Return a duration that was given as seconds or as text with a unit."""
    if isinstance(value, timedelta):
        return value
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds is None:
        raise click.BadParameter(f"{value!r} is without end. Leave the option out for that")
    return timedelta(seconds=seconds)


def moment(value: str) -> datetime:
    """Return a moment, in UTC: a date and time, or a distance from now such as `15m` or `-1h`.

    What a person types without a zone is meant in the zone of this machine.
    """
    text = value.strip()
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        pass
    try:
        seconds = parse_seconds(text.lstrip("+-"))
    except ValueError:
        seconds = None
    if seconds is None:
        msg = f"{text!r} is not a time. Give 2026-11-30T08:00, 2026-11-30T08:00+01:00, or a distance: 15m, -1h"
        raise click.BadParameter(msg)
    return datetime.now(UTC) + timedelta(seconds=-seconds if text.startswith("-") else seconds)


def json_value(text: str) -> Any:
    """Return what the JSON means; what is no JSON is text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def pairs_of(pairs: Iterable[str], option: str) -> dict[str, str]:
    """Return `name=value` pairs as a mapping of texts."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option}: {pair!r} is not a pair. Write it as name=value")
        if name in found:
            raise click.UsageError(f"{option}: {name!r} is given twice. Keep one of them")
        found[name] = value
    return found


def values_of(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """Return `name=value` pairs as a mapping of values, each of them JSON or else text."""
    return {name: json_value(value) for name, value in pairs_of(pairs, option).items()}


def names_of(values: Sequence[str]) -> tuple[str, ...]:
    """Return the names, of which several may stand in one value with commas between them, each once."""
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    return tuple(dict.fromkeys(names))
