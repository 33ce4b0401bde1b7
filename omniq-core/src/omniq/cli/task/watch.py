"""`omniq task watch`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import click

from omniq.cli.command import option, store_command
from omniq.cli.event import follow, print_event
from omniq.cli.parsing import duration
from omniq.cli.task.show import exit_code_of_outcome
from omniq.errors import ResultExpiredError, TaskCancelledError, TaskFailedError

if TYPE_CHECKING:
    from datetime import timedelta

    from omniq.cli.command import Session
    from omniq.cli.exits import ExitCode

__all__ = ["watch"]

_LATE_EVENTS = 2.0


@store_command("watch")
@click.argument("task_id", metavar="ID")
@option("--timeout", type=duration, metavar="DURATION", help="Give up after this time.", show_default="never")
async def watch(session: Session, /, *, task_id: str, timeout: timedelta | None) -> ExitCode:
    """Follow one task until it ends: what happened so far, then each event as it comes.

    The exit code tells how it ended: 0 completed, 1 failed or cancelled, 4 the time ran out. With --json: one event a
    line.
    """
    app = session.app
    await app.get_task(task_id)
    printer = asyncio.create_task(_print_until_it_ends(session, task_id))
    try:
        with suppress(TaskFailedError, TaskCancelledError, ResultExpiredError):
            await app.wait_result(task_id, None if timeout is None else timeout.total_seconds())
        # The last event may reach its storage a moment after the task has ended.
        await asyncio.wait({printer}, timeout=_LATE_EVENTS)
    finally:
        printer.cancel()
    return exit_code_of_outcome(await app.get_result(task_id))


async def _print_until_it_ends(session: Session, task_id: str) -> None:
    async with aclosing(follow(session.app, None, task=task_id)) as events:
        async for event in events:
            print_event(session, event)
            if event.state is not None and event.state.is_terminal:
                return
