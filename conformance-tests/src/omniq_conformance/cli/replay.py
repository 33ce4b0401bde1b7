"""`replay`."""

from __future__ import annotations

from pathlib import Path

import click

from omniq_conformance.cli.exits import ExitCode
from omniq_conformance.cli.options import backend_options, harness_of
from omniq_conformance.cli.output import console, counted, plain
from omniq_conformance.outcomes import HarnessError, UnsupportedError, UnverifiedError, named
from omniq_conformance.programs.program import Program
from omniq_conformance.programs.session import execute

__all__ = ["replay"]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@backend_options
def replay(*, file: Path, backend: str, url: str | None) -> None:
    """Run a program again that was kept because it failed, on the same backend or on another one.

    Exit codes: 0 every answer was the contract's; 1 one was not; 2 usage.
    """
    program = _program(file)
    shown = console()
    with harness_of(backend, url) as harness:
        shown.print(plain(program), soft_wrap=True)
        try:
            execute(program, harness)
        except HarnessError:
            raise
        except (UnsupportedError, UnverifiedError) as error:
            shown.print(f"\n{harness.backend} cannot run it: {plain(error)}", style="bold yellow", soft_wrap=True)
            raise click.exceptions.Exit(ExitCode.FAILED) from error
        except Exception as error:
            shown.print(f"\n{plain(named(error))}", soft_wrap=True)
            shown.print(f"NOT GOOD: {harness.backend} does something else than the contract says", style="bold red")
            raise click.exceptions.Exit(ExitCode.FAILED) from error
    shown.print(
        f"\nGOOD: all answers to {counted(len(program.ops), 'operation')} are the contract's", style="bold green"
    )


def _program(file: Path) -> Program:
    try:
        return Program.from_json(file.read_text("utf-8"))
    except (KeyError, TypeError, ValueError) as error:
        raise click.UsageError(f"{file} holds no program: {error}") from error
