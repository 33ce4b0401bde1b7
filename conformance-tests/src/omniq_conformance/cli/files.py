"""`site`, `badge` and `validate`: what is made of the files of reports."""

from __future__ import annotations

import json
from pathlib import Path

import click

from omniq_conformance.cli.exits import ExitCode
from omniq_conformance.cli.output import console, counted, counts_text, plain
from omniq_conformance.reports.badge import badge as badge_of
from omniq_conformance.reports.jsonl import ReportError, read_report
from omniq_conformance.reports.site import write_site

__all__ = ["badge", "site", "validate"]

_REPORT = click.Path(exists=True, dir_okay=False)


@click.command()
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True, type=_REPORT)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    show_envvar=True,
    help="The folder for the pages, made if it does not exist.",
)
def site(*, reports: tuple[str, ...], output: Path) -> None:
    """Make web pages of reports: backends against guarantees, with the evidence behind each cell.

    All reports have to be of the same specification; of several on the same backend and server the newest counts. The
    pages need no script and no network, and the same reports make the same pages.
    """
    start = write_site([read_report(path) for path in reports], output)
    console().print(f"{counted(len(reports), 'report')}: {start}", soft_wrap=True)


@click.command()
@click.argument("report", type=_REPORT)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    show_envvar=True,
    help="The file; standard output if none is given.",
)
def badge(*, report: str, output: Path | None) -> None:
    """Make a badge of a report: the JSON that a shields.io endpoint badge reads.

    It names the levels that are reached and counts what is unverified; it is red if anything failed, and has no
    percentage.
    """
    text = json.dumps(badge_of(read_report(report)), ensure_ascii=False, indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


@click.command()
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True, type=_REPORT)
def validate(*, reports: tuple[str, ...]) -> None:
    """Check that files are complete reports: the format of every line, an end, and counts that match.

    Exit codes: 0 all of them are; 1 one is not; 2 usage.
    """
    shown, faults = console(), 0
    for path in reports:
        try:
            found = read_report(path)
        except ReportError as error:
            faults += 1
            shown.print(f"invalid: {plain(error)}", style="bold red", soft_wrap=True)
        else:
            shown.print(
                f"valid: {path}: {found.header.backend}, ", counts_text(found.footer.counts), sep="", soft_wrap=True
            )
    raise click.exceptions.Exit(ExitCode.FAILED if faults else ExitCode.GOOD)
