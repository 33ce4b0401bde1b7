"""`diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import click
from rich.text import Text

from omniq_conformance.cli.exits import ExitCode
from omniq_conformance.cli.options import as_json_option
from omniq_conformance.cli.output import console, counted, dump, plain, status_text
from omniq_conformance.reports.diff import compare
from omniq_conformance.reports.jsonl import read_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from omniq_conformance.reports.diff import Change, Difference

__all__ = ["diff"]


@click.command()
@click.argument("old", type=click.Path(exists=True, dir_okay=False))
@click.argument("new", type=click.Path(exists=True, dir_okay=False))
@as_json_option
def diff(*, old: str, new: str, as_json: bool) -> None:
    """Tell what got worse or better from the report OLD to the report NEW.

    From best to worst: pass, unsupported, provisional, unverified, known-issue, vacuous, error, fail. Items that only
    one of them has are told, and are neither better nor worse.

    Exit codes: 0 nothing got worse; 1 something did; 2 they cannot be compared.
    """
    found = compare(read_report(old), read_report(new))
    if as_json:
        dump(attrs.asdict(found))
    else:
        _print(console(), found)
    raise click.exceptions.Exit(ExitCode.FAILED if found.worse else ExitCode.GOOD)


def _print(shown: Console, found: Difference) -> None:
    for name, (before, after) in found.headers.items():
        shown.print(f"{name}: {plain(before)} -> {plain(after)}", style="dim")
    _print_changes(shown, "Worse", found.worse, "bold red")
    _print_changes(shown, "Better", found.better, "bold green")
    _print_changes(shown, "Only in the new report", found.appeared, "bold")
    _print_changes(shown, "Only in the old report", found.disappeared, "bold")
    if found.appeared or found.disappeared:
        shown.print("\nThe reports have different items; what only one of them has was not compared.", style="yellow")
    told = f"{counted(len(found.worse), 'item')} worse, {len(found.better)} better, {found.same} the same"
    shown.print(f"\n{told}", style="bold red" if found.worse else "bold green")


def _print_changes(shown: Console, title: str, changes: Sequence[Change], style: str) -> None:
    if not changes:
        return
    shown.print(f"\n{title}: {counted(len(changes), 'item')}", style=style)
    for change in changes:
        verdicts = [status_text(status) for status in (change.old, change.new) if status is not None]
        shown.print(Text(f"  {change.id}  ") + Text(" -> ").join(verdicts) + Text(f"  {plain(change.title)}"))
        if change.reason:
            shown.print(f"      {plain(change.reason.partition(chr(10))[0])}")
