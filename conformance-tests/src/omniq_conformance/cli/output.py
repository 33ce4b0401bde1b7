"""What commands print: text and tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING

import click

from omniq_conformance.outcomes import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["STYLES", "console", "counted", "counts_text", "dump", "plain", "print_table", "status_text", "table"]

STYLES: Mapping[str, str] = {
    Status.PASS: "green",
    Status.FAIL: "bold red",
    Status.ERROR: "bold red",
    Status.VACUOUS: "bold red",
    Status.KNOWN_ISSUE: "yellow",
    Status.UNVERIFIED: "bold yellow",
    Status.UNSUPPORTED: "dim",
    Status.PROVISIONAL: "magenta",
}
"""The colour of each verdict, which is never shown without its name."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WIDE = 160


def plain(value: object) -> str:
    """Return text for a terminal: what a backend said must not steer it, so control characters are spelt out."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(value))


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is; without a terminal, lines are not cut to 80 columns."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def table(*columns: str) -> Table:
    """Return an empty table; columns that begin with `>` are flushed right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.startswith(">")
        made.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    return made


def print_table(shown: Console, made: Table) -> None:
    """Print a table, without spaces at the ends of lines where there is no terminal."""
    if shown.is_terminal:
        shown.print(made)
        return
    with shown.capture() as captured:
        shown.print(made)
    shown.out("\n".join(line.rstrip() for line in captured.get().splitlines()))


def status_text(status: str | None) -> Text:
    """Return a verdict in its colour; a dash for none."""
    from rich.text import Text

    return Text(status or "-", style=STYLES.get(status or "", ""))


def counts_text(counts: Mapping[str, int]) -> Text:
    """Return how many there are of each verdict, in the order of `Status`."""
    from rich.text import Text

    found = [Text(f"{counts[status]} {status}", STYLES[status]) for status in Status if counts.get(status)]
    return Text(", ").join(found) if found else Text("nothing")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def dump(value: object) -> None:
    """Print one JSON document."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(value, ensure_ascii=False, indent=indent))
