"""`omniq queue`: how much there is to do, and whether it may be done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from omniq.cli.command import group, option, store_command
from omniq.cli.exits import ExitCode
from omniq.cli.filters import confirm, yes_option
from omniq.cli.output import age, counted, status_text
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from omniq.cli.command import Session

__all__ = ["command"]

command = group("queue", "List, pause, resume and purge queues.")


@store_command("list", parent=command)
async def list_(session: Session) -> None:
    """List every queue that has a task or is paused, with the number of its tasks by state.

    RUNNING includes STALE: tasks whose worker gives no sign of life. OLDEST is for how long the first ready task waits.
    """
    stats = await session.app.stats()
    if session.out.as_json:
        session.out.data(stats)
        return
    now = time.time() * 1000
    rows = [
        (
            queue.name,
            status_text("PAUSED") if queue.paused else "-",
            queue.ready,
            queue.scheduled,
            queue.running,
            queue.stale,
            queue.completed,
            queue.failed,
            queue.cancelled,
            None if queue.oldest_ready_at is None else age(max(0.0, now - queue.oldest_ready_at) / 1000),
        )
        for queue in stats
    ]
    columns = (
        "QUEUE",
        "",
        ">READY",
        ">SCHEDULED",
        ">RUNNING",
        ">STALE",
        ">COMPLETED",
        ">FAILED",
        ">CANCELLED",
        ">OLDEST",
    )
    session.out.table(columns, rows)


@store_command("pause", parent=command)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
async def pause(session: Session, /, *, names: tuple[str, ...]) -> None:
    """Stop workers from taking tasks out of these queues, until they are resumed. Running tasks go on."""
    await session.app.pause(list(names))
    _told(session, names, paused=True)


@store_command("resume", parent=command)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
async def resume(session: Session, /, *, names: tuple[str, ...]) -> None:
    """Let workers take tasks out of these queues again."""
    await session.app.resume(list(names))
    _told(session, names, paused=False)


def _told(session: Session, names: tuple[str, ...], *, paused: bool) -> None:
    if session.out.as_json:
        session.out.data([{"name": name, "paused": paused} for name in names])
    else:
        session.out.say(f"{', '.join(names)}: {'paused' if paused else 'resumed'}.")


@store_command("purge", parent=command)
@click.argument("name")
@option("--dry-run", is_flag=True, help="Only count the tasks.")
@yes_option
async def purge(session: Session, /, *, name: str, dry_run: bool, yes: bool) -> ExitCode:
    """Cancel every waiting task of a queue, scheduled ones too. Running tasks go on.

    The tasks stay listed as CANCELLED, and can be put back with: omniq task retry --queue NAME --state CANCELLED
    """
    app, out = session.app, session.out
    count = await app.count_tasks(queue=name, status=TaskStatus.PENDING)
    if dry_run:
        if out.as_json:
            out.data({"count": count})
        else:
            out.say(f"{counted(count, 'waiting task')} in {name}; nothing was changed.")
        return ExitCode.OK
    if count:
        confirm(f"Cancel {counted(count, 'waiting task')} of the queue {name}?", out, yes=yes)
    replies = await app.cancel(queue=name, status=TaskStatus.PENDING)
    cancelled = sum(reply == "cancelled" for reply in replies.values())
    if out.as_json:
        out.data({"cancelled": cancelled})
    else:
        out.say(f"{counted(cancelled, 'task')} cancelled.")
    return ExitCode.OK
