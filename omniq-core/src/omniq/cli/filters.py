"""Which tasks a command means: options that make conditions, and the question before many tasks are changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from omniq.cli.command import option
from omniq.cli.parsing import moment, names_of
from omniq.models.status import TaskStatus, TaskView

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniq.cli.output import Output
    from omniq.queue.filters import FilterArguments

__all__ = ["conditions", "confirm", "filter_options", "yes_option"]

F = TypeVar("F", bound="Callable[..., Any]")

_STATES = [str(state) for state in (*TaskStatus, *TaskView)]


def filter_options(func: F) -> F:
    """Add the options that say which tasks are meant; all conditions that are given must hold."""
    options = [
        option(
            "--state",
            "-s",
            multiple=True,
            type=click.Choice(_STATES, case_sensitive=False),
            metavar="STATE",
            help=f"In this state; repeat it for several. One of {', '.join(_STATES)}.",
        ),
        option("--queue", "-q", multiple=True, metavar="NAMES", help="In these queues, with commas between them."),
        option("--func", "-f", multiple=True, metavar="PATH", help="Running this function or task."),
        option("--unique-key", metavar="KEY", help="With this unique key."),
        option("--series", metavar="ID", help="Runs of this repeated task."),
        option("--since", type=moment, metavar="TIME", help="Enqueued at or after: -1h, 2026-11-30T08:00."),
        option("--until", type=moment, metavar="TIME", help="Enqueued before."),
    ]
    for add in reversed(options):
        func = add(func)
    return func


def conditions(given: dict[str, Any]) -> FilterArguments:
    """Return what the filter options say, as the application takes it; empty if they say nothing."""
    said: dict[str, Any] = {
        "status": given["state"],
        "queue": names_of(given["queue"]),
        "func": given["func"],
        "unique_key": given["unique_key"],
        "series_id": given["series"],
        "since": given["since"],
        "until": given["until"],
    }
    made: Any = {name: value for name, value in said.items() if value}
    return made  # type: ignore[no-any-return]


yes_option = option("--yes", "-y", is_flag=True, help="Do not ask.")


def confirm(question: str, out: Output, *, yes: bool) -> None:
    """Ask a person; without one, `--yes` is needed.

    Raises:
        click.UsageError: There is nobody to ask.
        click.Abort: The person said no.
    """
    if yes:
        return
    if out.as_json or not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say --yes, or look first with --dry-run.")
    click.confirm(question, abort=True, err=True)
