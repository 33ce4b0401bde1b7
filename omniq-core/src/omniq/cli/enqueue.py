"""`omniq enqueue`: one task, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from omniq.cli.command import option, store_command
from omniq.cli.exits import ExitCode
from omniq.cli.parsing import duration, json_value, moment, pairs_of, values_of
from omniq.cli.task.show import print_outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from omniq.cli.command import Session

__all__ = ["command", "task_arguments"]

F = TypeVar("F", bound="Callable[..., Any]")


def task_arguments(func: F) -> F:
    """Add the arguments that say what to run."""
    for add in reversed(
        [
            click.argument("func"),
            click.argument("args", metavar="[ARG]...", nargs=-1),
            option(
                "--kwarg",
                "-k",
                multiple=True,
                metavar="NAME=VALUE",
                help="A keyword argument; the value is JSON or text.",
            ),
        ]
    ):
        func = add(func)
    return func


@store_command("enqueue")
@task_arguments
@option("--queue", "-q", help="The queue.")
@option("--priority", "-p", type=click.IntRange(0, 9), help="9 runs first.")
@option("--delay", type=duration, metavar="DURATION", help="Start after this time: 30s, 15m, 2h.")
@option("--eta", type=moment, metavar="TIME", help="Start at this time.")
@option("--interval", type=duration, metavar="DURATION", help="Repeat it after this time.")
@option("--max-retries", type=click.IntRange(0), help="How often to try again.")
@option("--timeout", type=duration, metavar="DURATION", help="How long one attempt may run.")
@option("--unique-key", metavar="KEY", help="Enqueue nothing while a task of the queue with this key waits or runs.")
@option("--id", help="The id of the task; nothing is enqueued if it exists.")
@option("--result-ttl", type=duration, metavar="DURATION", help="How long the result is kept.")
@option("--expires-in", type=duration, metavar="DURATION", help="Do not start it any more after this time.")
@option("--header", multiple=True, metavar="NAME=TEXT", help="Text that travels with the task.")
@option("--wait", type=duration, metavar="DURATION", help="Wait so long for the result and print it.")
async def command(session: Session, /, *, header: tuple[str, ...], wait: timedelta | None, **given: Any) -> ExitCode:
    """Enqueue one task.

    FUNC is a task's name or module.function, and the ARGs are its positional arguments. Each is JSON, or else text: 3
    is a number, "3" with the quotes of JSON is text, and so is hello. Put -- before arguments that begin with a dash.

    Prints the id. With --wait: prints the result; exit code 1 if the task failed or was cancelled, 4 if the time ran
    out.
    """
    args = [json_value(text) for text in given.pop("args")]
    kwargs = values_of(given.pop("kwarg"), "--kwarg")
    headers = pairs_of(header, "--header") or None
    given["task_id"] = given.pop("id")
    job = await session.app.enqueue(given.pop("func"), args, kwargs, headers=headers, **given)
    if not job.created:
        session.out.note(f"Nothing was enqueued: the task {job.id} stands in the way.")
    if wait is not None:
        return await print_outcome(session, job.id, wait)
    if session.out.as_json:
        session.out.data({"id": job.id, "created": job.created})
    else:
        session.out.say(job.id)
    return ExitCode.OK
