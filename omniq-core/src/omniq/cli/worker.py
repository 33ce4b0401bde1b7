"""`omniq worker`: runs the tasks of an application."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from omniq.cli.command import json_option, option
from omniq.cli.exits import ExitCode
from omniq.cli.output import Output
from omniq.cli.parsing import duration, names_of

if TYPE_CHECKING:
    from omniq.app import AsyncOmniQ
    from omniq.worker.options import WorkerReport

__all__ = ["command", "restart"]

_GARBAGE = 20_000
"""How many objects more are made than freed before the collector looks at the young ones."""
_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
_logger = logging.getLogger("omniq.cli.worker")


@click.command("worker")
@click.argument("app", metavar="MODULE:APP", envvar="OMNIQ_APP")
@option(
    "--queues",
    "-q",
    metavar="NAMES",
    multiple=True,
    help="Queues with commas between them; default: the default queue.",
)
@option("--concurrency", "-c", type=click.IntRange(1), help="How many tasks run at once.", show_default="100")
@option("--processes", type=click.IntRange(1), help="How many child processes run CPU tasks.", show_default="one a CPU")
@option("--burst", is_flag=True, help="Return when nothing is ready or running any more.")
@option(
    "--lease",
    type=duration,
    metavar="DURATION",
    help="Others take over after so long without a sign.",
    show_default="30s",
)
@option(
    "--shutdown-timeout",
    type=duration,
    metavar="DURATION",
    help="How long tasks may go on after the first signal.",
    show_default="30s",
)
@option(
    "--kill-grace",
    type=duration,
    metavar="DURATION",
    help="How long a task that cannot be stopped may go on.",
    show_default="10s",
)
@option("--max-tasks", type=click.IntRange(0), help="Start afresh after so many tasks.", show_default="never")
@option("--no-scheduler", is_flag=True, help="Leave schedules to other workers.")
@option(
    "--name", help="What this worker is called in records and events.", show_default="host, process and a random part"
)
@option(
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    help="What is logged.",
    show_default="the configuration's log_level",
)
@option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="One line a record."
)
@option("--reload", is_flag=True, help="Start afresh when a Python file under the working directory changes.")
@json_option
@click.pass_context
def command(context: click.Context, /, app: str, *, reload: bool, **parameters: Any) -> None:
    """Run the tasks of an application until a signal comes.

    MODULE:APP is where it is, such as my_app.tasks:app; MODULE alone does if it has one application. The working
    directory is on the import path.

    The first SIGTERM or SIGINT stops claiming, hands back what has not started, and lets the rest finish until
    --shutdown-timeout; the second stops at once. Exit code 0 after either. With --json the last line on standard output
    is the report. Log records go to standard error.
    """
    if reload:
        from omniq.cli.reload import supervise

        context.exit(supervise())
    out = Output(as_json=parameters.pop("as_json"))
    report = _work(app, parameters)
    if report.recycle:
        _logger.warning("Starting afresh: %s", report.recycle_reason)
        restart()
    if out.as_json:
        out.data(report)
    else:
        out.note(
            f"Worker {report.name} ended: {report.completed} completed, {report.failed} failed, "
            f"{report.retried} to be tried again, {report.released} handed back."
        )
    context.exit(ExitCode.OK)


def _work(target: str, parameters: dict[str, Any]) -> WorkerReport:
    """Load the application and run a worker of it until it ends."""
    from omniq.cli.applications import asynchronous
    from omniq.cli.loading import load_app
    from omniq.telemetry import setup_logging

    app = asynchronous(load_app(target))
    level = parameters.pop("log_level") or app.config.log_level
    setup_logging(level, as_json=parameters.pop("log_format") == "json")
    queues = names_of(parameters.pop("queues"))
    scheduler = not parameters.pop("no_scheduler")
    return asyncio.run(_run(app, {**parameters, "queues": queues or None, "scheduler": scheduler}))


async def _run(app: AsyncOmniQ, options: dict[str, Any]) -> WorkerReport:
    from omniq.worker import check_stores_for_process, signal_handlers

    async with app:
        stores = await app.connect()
        for warning in check_stores_for_process(stores):
            _logger.warning(warning)
        worker = app.worker(**options)
        with signal_handlers(worker):
            known = ", ".join(app.registry.names()) or f"none registered; allowed are {_allowed(app)}"
            _logger.info("%s takes tasks from %s: %s", worker.options.name, ", ".join(worker.options.queues), known)
            _tune_garbage_collection()
            return await worker.run()


def _tune_garbage_collection() -> None:
    """Collect less often, and not what was loaded for good: a worker makes many objects and hardly any cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 100)


def _allowed(app: AsyncOmniQ) -> str:
    return ", ".join(sorted(app.registry.allowed_modules)) or "no modules"


def restart() -> None:
    """Put a fresh process with the same arguments in the place of this one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the very command that runs now
