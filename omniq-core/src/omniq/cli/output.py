"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Output", "age", "console", "counted", "plain", "status_text", "to_json"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WIDE = 250
_STYLES = {
    "PENDING": "cyan",
    "READY": "cyan",
    "SCHEDULED": "blue",
    "RUNNING": "yellow",
    "STALE": "bold red",
    "EXPIRED": "red",
    "COMPLETED": "green",
    "FAILED": "bold red",
    "CANCELLED": "magenta",
    "ENQUEUED": "cyan",
    "STARTED": "yellow",
    "RETRYING": "bold yellow",
    "PAUSED": "bold yellow",
}


def plain(value: object) -> str:
    """Return text for a terminal: what a task's data holds must not steer it, so control characters are spelt out."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(value))


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is; without a terminal, lines are not cut to 80 columns."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def status_text(value: object) -> Text:
    """Return a state, a view or an event type in its colour."""
    from rich.text import Text

    return Text(str(value), style=_STYLES.get(str(value), ""))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def age(seconds: float) -> str:
    """Return a duration in its two largest units, such as `3 h 20 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next(index for index, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number)


def to_json(value: object) -> Any:  # noqa: PLR0911 - one line a type
    """Return the value as JSON knows it: times as ISO 8601 in UTC, durations in seconds, records as objects."""
    match value:
        case None | bool() | int() | float() | str():
            return str(value) if isinstance(value, str) else value
        case datetime():
            return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case Sequence() | set() | frozenset():
            return [to_json(item) for item in value]
        case _:
            return to_json(_fields(value)) if attrs.has(type(value)) else str(value)


def _fields(record: Any) -> dict[str, Any]:
    return attrs.asdict(record, recurse=False)


def _dumps(value: object) -> str:
    return json.dumps(to_json(value), ensure_ascii=False)


class Output:
    """Where a command puts its answer: either JSON alone, or text.

    Attributes:
        as_json: Whether standard output gets JSON and nothing else.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def data(self, value: object) -> None:
        """Print one JSON document."""
        indent = 2 if sys.stdout.isatty() else None
        click.echo(json.dumps(to_json(value), ensure_ascii=False, indent=indent))

    async def stream(self, values: AsyncIterable[object]) -> int:
        """Print one JSON list as its items come, each on a line of its own, and return how many there were."""
        count = 0
        async for value in values:
            click.echo(f"{',' if count else '['}{_dumps(value)}")
            count += 1
        click.echo("]" if count else "[]")
        return count

    def line(self, value: object) -> None:
        """Print one line of JSON, of a stream of them."""
        click.echo(_dumps(value))

    def say(self, text: object = "") -> None:
        """Print a line for people, unless JSON was asked for."""
        if self.as_json:
            return
        if isinstance(text, str):
            click.echo(plain(text))
        else:
            console().print(text)

    def note(self, text: str) -> None:
        """Print a line for people beside the answer, on standard error."""
        click.echo(plain(text), err=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
        """Print a table for people; columns that begin with `>` are flushed right."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=plain(title) or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for column in columns:
            right = column.startswith(">")
            table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else _cell(cell) for cell in row))
        shown = console()
        if shown.is_terminal:
            shown.print(table)
            return
        with shown.capture() as captured:
            shown.print(table)
        click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return plain(value)
