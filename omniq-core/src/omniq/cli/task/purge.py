"""`omniq task purge`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from omniq.cli.command import option, store_command
from omniq.cli.exits import ExitCode
from omniq.cli.filters import confirm, yes_option
from omniq.cli.output import counted
from omniq.cli.parsing import duration
from omniq.models.status import TERMINAL

if TYPE_CHECKING:
    from datetime import timedelta

    from omniq.cli.command import Session

__all__ = ["purge"]

_STATES = sorted(str(state) for state in TERMINAL)


@store_command("purge")
@option(
    "--state",
    "-s",
    multiple=True,
    type=click.Choice(_STATES, case_sensitive=False),
    help="Only those that ended in this state; repeat it for several.",
)
@option("--older-than", type=duration, metavar="DURATION", help="Only those that ended at least so long ago: 1d.")
@option("--pinned", is_flag=True, help="Also the recent ones whose ids are kept to recognise a repeat.")
@option("--results", is_flag=True, help="Also their results, which otherwise stay until their time is over.")
@option("--dry-run", is_flag=True, help="Only count them.")
@yes_option
async def purge(
    session: Session,
    *,
    state: tuple[str, ...],
    older_than: timedelta | None,
    pinned: bool,
    results: bool,
    dry_run: bool,
    yes: bool,
) -> ExitCode:
    """Remove the records of tasks that have ended. Waiting and running tasks are never removed.

    Workers do this by themselves after the setting task_retention.
    """
    states = [name.upper() for name in state] or _STATES
    out = session.out
    if dry_run:
        count = await _count(session, states, older_than)
        if out.as_json:
            out.data({"count": count})
        else:
            out.say(f"{counted(count, 'task')} meant; nothing was changed.")
        return ExitCode.OK
    what = f"tasks that ended as {', '.join(states)}"
    confirm(f"Remove the records of all {what}{f' {older_than} ago or more' if older_than else ''}?", out, yes=yes)
    removed = await session.app.purge(status=states, older_than=older_than, pinned=pinned, results=results)
    if out.as_json:
        out.data({"removed": removed})
    else:
        out.say(f"{counted(removed, 'task')} removed.")
    return ExitCode.OK


async def _count(session: Session, states: list[str], older_than: timedelta | None) -> int:
    """Count what would go, but for tasks that are kept to recognise a repeat."""
    if older_than is None:
        return await session.app.count_tasks(status=states)
    limit = datetime.now(UTC) - older_than
    tasks = session.app.iter_tasks(status=states)
    return sum([task.finished_at is not None and task.finished_at <= limit async for task in tasks])
