"""`omniq-conformance new-backend`."""

from __future__ import annotations

from pathlib import Path

import click

from omniq_conformance.scaffold.writing import Names, write_backend

__all__ = ["new_backend"]


@click.command("new-backend")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where the folder omniq-NAME is made; the working directory by default.",
)
def new_backend(name: str, directory: Path) -> None:
    """Begin a backend as a distribution of its own, in a new folder omniq-NAME.

    It can be installed, it is listed, and the suite runs on it: what is blank yet says so, with the section of the
    storage contract that tells what belongs there. Nothing is ever overwritten.
    """
    try:
        names = Names.of(name)
        written = write_backend(names, directory)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except FileExistsError as error:
        raise click.UsageError(
            f"{error.filename} is there already and was left alone. Give another --directory, or move it away."
        ) from error
    folder = directory / names.distribution
    for path in written:
        click.echo(path)
    commands = [f"pip install -e {folder}", "omniq backend list", f"omniq-conformance smoke --backend {names.name}"]
    click.echo("\n  ".join(["\nNext:", *commands]))
    click.echo(f"\n{folder / 'README.md'} says in which order to fill in what is blank.")
