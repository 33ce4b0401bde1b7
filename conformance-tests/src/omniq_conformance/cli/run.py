"""`run` and `smoke`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import attrs
import click

from omniq_conformance.cli.exits import ExitCode
from omniq_conformance.cli.options import as_json_option, backend_options, harness_of, option
from omniq_conformance.cli.output import console, dump
from omniq_conformance.cli.progress import Progress
from omniq_conformance.cli.selection import selected
from omniq_conformance.cli.summary import Summary
from omniq_conformance.engine import run_conformance
from omniq_conformance.outcomes import HarnessError, Status
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items
from omniq_conformance.reports.levels import standings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omniq_conformance.registry import Item
    from omniq_conformance.reports.report import Report

__all__ = ["run", "smoke"]

_MOST_JOBS = 4
"""More make what happens in time, such as waking, look late."""

_REMEDY = """
What a harness does is little: open(namespace) returns an OpenedStores whose roles are open, a new handle at every call;
destroy(namespace) removes all that is in the namespace. If the backend is a server, say where it is with --url, or let
the harness start one (server_kind). docs/reference/conformance-cli.md has an example."""


def _common(command: Callable[..., None]) -> Callable[..., None]:
    """Add what `run` and `smoke` share."""
    for add in (
        as_json_option,
        option("--strict", is_flag=True, help="Exit with 1 also if anything is unverified."),
        option(
            "--jobs",
            metavar="NUMBER",
            type=click.IntRange(min=1),
            default=lambda: min(os.cpu_count() or 1, _MOST_JOBS),
            show_default="the number of processors, at most 4",
            help="In how many processes; each one makes a harness of its own.",
        ),
        option(
            "--only",
            multiple=True,
            metavar="PATTERN",
            help="Only these: ids of cases or items, or names of families, also with * and ?. May be repeated.",
        ),
        option(
            "--report",
            metavar="FILE",
            type=click.Path(dir_okay=False),
            help="Write the report to this file, as the run goes on.",
        ),
        option("--seed", metavar="NUMBER", type=int, default=0, show_default=True, help="Of everything random."),
    ):
        command = add(command)
    return backend_options(command)


@click.command()
@_common
@option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="pr",
    show_default=True,
    help="How much to do: smoke takes some 10 seconds, pr a minute or two, nightly hours.",
)
def run(**options: Any) -> None:
    """Run the suite on a backend, and say what it proves.

    Every item ends with one verdict, and nothing is merely skipped. What is no pass is told with its reason; programs
    that failed are kept in files for `replay`.

    Exit codes: 0 good; 1 an item failed, broke or was vacuous, with --strict also if one is unverified; 2 usage.
    """
    _run(**options)


@click.command()
@_common
def smoke(**options: Any) -> None:
    """Find out in ten seconds whether a harness is wired right.

    This is `run --profile smoke`: every case, with few programs and small sizes.
    """
    try:
        _run(profile="smoke", **options)
    except HarnessError as error:
        raise HarnessError(f"{error}\n{_REMEDY}") from error


def _run(
    *,
    backend: str,
    url: str | None,
    profile: str,
    seed: int,
    report: str | None,
    only: Sequence[str],
    jobs: int,
    strict: bool,
    as_json: bool,
) -> None:
    harness = harness_of(backend, url)
    select = selected(only)
    wanted: list[Item] = [item for item in items() if select is None or select(item)]
    with Progress(console(stderr=True), wanted) as progress:
        found = run_conformance(
            harness, profile=profile, seed=seed, select=select, tell=progress.tell, jobs=jobs, report=report
        )
    code = _code(found, strict=strict)
    if as_json:
        dump(_document(found, code))
    else:
        Summary(found, backend=backend, url=url, strict=strict, file=report).print(console())
    raise click.exceptions.Exit(code)


def _code(report: Report, *, strict: bool) -> ExitCode:
    doubtful = strict and report.footer.counts.get(Status.UNVERIFIED, 0)
    return ExitCode.GOOD if report.is_good and not doubtful else ExitCode.FAILED


def _document(report: Report, code: ExitCode) -> dict[str, Any]:
    return {
        "good": code is ExitCode.GOOD,
        "levels": {standing.level.value: standing.is_reached for standing in standings(report)},
        "header": attrs.asdict(report.header),
        "items": [attrs.asdict(line) for line in report.lines],
        "footer": attrs.asdict(report.footer),
    }
