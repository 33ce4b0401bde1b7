"""`omniq demo`: everything at once, on real files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omniq.cli.command import json_option, option
from omniq.cli.demo.files import default_path, select
from omniq.cli.exits import ExitCode
from omniq.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["command"]


@click.command("demo")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@option("--backend", metavar="NAME", default="sqlite", show_default=True, help="The backend of all four roles.")
@option(
    "--base-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the store and the archives go, instead of a new temporary folder.",
)
@option(
    "--files", default=500, show_default=True, type=click.IntRange(1), help="Work on at most so many files, and 64 MiB."
)
@option(
    "--sparks",
    default=5000,
    show_default=True,
    type=click.IntRange(0),
    help="How many empty tasks the speed test runs; 0 leaves it out.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    *,
    path: Path | None,
    backend: str,
    base_dir: Path | None,
    files: int,
    sparks: int,
    as_json: bool,
) -> None:
    """Run the whole of OmniQ on real files, and check what came out.

    In a fresh store it enqueues tasks that hash every file under PATH, count the words of every text and archive every
    folder; runs a worker; meets a server that is busy twice and is tried again with a growing delay; fires a schedule;
    cancels a task; lets an urgent one overtake all others; and compares everything with a direct computation. Your
    files are only read.

    Without PATH it works on OmniQ's own documentation. Exit code 1 means that something was not as it should be.
    """
    from omniq.cli.demo.run import run_demo
    from omniq.cli.demo.screen import Screen, present, summary

    out = Output(as_json=as_json)
    selection = select(path or default_path(), files)
    folder = (base_dir or Path(tempfile.mkdtemp(prefix="omniq-demo-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    left_out = f" of {selection.total:,}" if selection.total > len(selection.files) else ""
    out.say(f"OmniQ on {len(selection.files):,} files{left_out} under {selection.root}, with everything in {backend}\n")
    with _only_errors_logged():
        demo = asyncio.run(run_demo(selection, folder, backend, sparks, Screen(out)))
    if as_json:
        out.data(summary(demo, selection, folder))
    else:
        options = f"{'' if backend == 'sqlite' else f' --backend {backend}'} --base-dir {shlex.quote(str(folder))}"
        present(demo, selection, folder, out, options)
    if backend == "memory" and base_dir is None:
        shutil.rmtree(folder)
    context.exit(ExitCode.OK if demo.succeeded else ExitCode.FAILED)


@contextlib.contextmanager
def _only_errors_logged() -> Iterator[None]:
    """Keep the worker's warnings out of the bars: that a step is retried belongs to the show."""
    logger = logging.getLogger("omniq")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
