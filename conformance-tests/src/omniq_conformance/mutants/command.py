"""The command `mutants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from omniq_conformance.cli.exits import ExitCode
from omniq_conformance.cli.options import as_json_option, harness_of, option
from omniq_conformance.cli.output import console, counted, dump, plain
from omniq_conformance.engine import run_conformance
from omniq_conformance.mutants.catalog import BACKENDS, mutants_of
from omniq_conformance.mutants.matrix import Row, run_matrix, unchallenged
from omniq_conformance.outcomes import Status
from omniq_conformance.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from omniq_conformance.mutants.killing import Attempt

__all__ = ["mutants"]

_NAME = 58
_CELL = 24


@click.command()
@option("--backend", type=click.Choice(BACKENDS), help="Only the mutants of this backend.")
@option("--only", metavar="TEXT", help="Only the mutants with this text in their name.")
@option("--profile", type=click.Choice(list(PROFILES)), default="pr", show_default=True, help="How much the cases do.")
@option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="With how many seeds: 0, 1, 2, ...")
@option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="In how many processes.")
@option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a mutant may take with one seed; one that takes longer hangs, which counts as killed.",
)
@option("--clean", type=click.IntRange(0), default=0, help="Run the unbroken backends so often as well.")
@as_json_option
def mutants(
    backend: str | None,
    only: str | None,
    profile: str,
    seeds: int,
    jobs: int,
    limit: float,
    clean: int,
    as_json: bool,  # noqa: FBT001 - click passes by name
) -> None:
    """Check that the suite finds every planted bug.

    Each mutant is a backend with one bug. The cases that are there to find it run until one does: the random
    ones with every seed, the others, which do the same with each, once.
    """
    wanted = [backend] if backend else list(BACKENDS)
    keys = [each.key for name in wanted for each in mutants_of(name) if only is None or only in each.name]
    if not keys:
        raise click.UsageError(f"No mutant has {only!r} in its name.")
    shown = None if as_json else console()
    if shown is not None:
        shown.out(f"{'mutant':{_NAME}} " + " ".join(f"{f'seed {seed}':{_CELL}}" for seed in range(seeds)).rstrip())
    rows: list[Row] = []
    for row in run_matrix(keys, profile=profile, seeds=range(seeds), processes=jobs, limit=limit):
        rows.append(row)
        if shown is not None:
            _print(shown, row)
    faults = [fault for name in wanted for number in range(clean) for fault in _faults(name, profile, number)]
    if shown is None:
        dump(_document(rows, faults))
    else:
        _conclude(shown, rows, faults, clean)
    if faults or not all(row.is_killed for row in rows):
        raise click.exceptions.Exit(ExitCode.FAILED)


def _print(shown: Console, row: Row) -> None:
    name = f"{row.backend}: {row.name}{' (held out)' if row.held_out else ''}"
    shown.out(f"{name:{_NAME}} {' '.join(f'{_cell(each):{_CELL}}' for each in row.attempts).rstrip()}")
    for each in row.attempts:
        if each.killer is None and each.reason:
            shown.out(f"    seed {each.seed}, no wrong answer but: {plain(each.reason)}")


def _cell(each: Attempt) -> str:
    if each.killer is None:
        return "SURVIVED"
    return each.killer if each.programs is None else f"{each.killer} #{each.programs}"


def _faults(backend: str, profile: str, seed: int) -> list[str]:
    """Run the whole suite on the unbroken backend."""
    report = run_conformance(harness_of(backend, None), profile=profile, seed=seed)
    bad = [line for line in report.lines if not Status(line.status).is_good]
    return [f"{backend}, seed {seed}: {line.id} {line.status}: {line.reason}" for line in bad]


def _document(rows: Sequence[Row], faults: Sequence[str]) -> dict[str, Any]:
    return {
        "mutants": [row.to_json() for row in rows],
        "killed": sum(row.is_killed for row in rows),
        "of": len(rows),
        "unbroken_faults": list(faults),
        "cases_without_a_kill": unchallenged(rows),
    }


def _conclude(shown: Console, rows: Sequence[Row], faults: Sequence[str], clean: int) -> None:
    for fault in faults:
        shown.out(f"The unbroken backend: {plain(fault)}")
    if clean and not faults:
        shown.out(f"The unbroken backends passed {counted(clean, 'time')}.")
    held_out = [row for row in rows if row.held_out]
    if held_out:
        shown.out(f"of those held out: killed {sum(row.is_killed for row in held_out)} of {len(held_out)}")
    shown.out(f"killed {sum(row.is_killed for row in rows)} of {len(rows)}")
