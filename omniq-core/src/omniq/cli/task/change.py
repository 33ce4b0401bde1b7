"""`omniq task retry` and `omniq task cancel`: one, several, or all that match."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from omniq.cli.command import option, store_command
from omniq.cli.exits import ExitCode
from omniq.cli.filters import conditions, confirm, filter_options, yes_option
from omniq.cli.output import counted
from omniq.models.status import LIVE, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from omniq.cli.command import Session
    from omniq.queue.filters import FilterArguments

__all__ = ["cancel", "retry"]

_WORDS = {
    "cancelled": "cancelled",
    "requested": "running, their workers are asked to stop",
    "finished": "had ended already",
    "missing": "unknown",
    "ok": "enqueued again",
    "invalid": "neither failed nor cancelled",
    "conflict": "blocked by a live task with their unique key",
}

dry_run_option = option("--dry-run", is_flag=True, help="Only count the tasks that are meant.")
all_option = option("--all", is_flag=True, help="Mean all of them, without a condition.")


@store_command("retry")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filter_options
@all_option
@dry_run_option
@yes_option
async def retry(session: Session, /, **given: Any) -> ExitCode:
    """Put failed and cancelled tasks back into their queues, with all their attempts.

    Name tasks by ID, or say by the options which are meant; without --state these are the FAILED ones. Asks before it
    changes many, with their number; --dry-run only counts.
    """
    return await _change(session, "Retry", (TaskStatus.FAILED,), session.app.retry, given)


@store_command("cancel")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filter_options
@all_option
@dry_run_option
@yes_option
async def cancel(session: Session, /, **given: Any) -> ExitCode:
    """Cancel waiting tasks at once, and ask the workers of running ones to stop them.

    Name tasks by ID, or say by the options which are meant; without --state all that have not ended. Asks before it
    changes many, with their number; --dry-run only counts.
    """
    return await _change(session, "Cancel", tuple(sorted(LIVE)), session.app.cancel, given)


async def _change(
    session: Session,
    verb: str,
    default: tuple[TaskStatus, ...],
    act: Callable[..., Awaitable[Any]],
    given: dict[str, Any],
) -> ExitCode:
    ids: tuple[str, ...] = given.pop("ids")
    everything, dry_run, yes = given.pop("all"), given.pop("dry_run"), given.pop("yes")
    meant = conditions(given)
    if sum((bool(ids), bool(meant), everything)) != 1:
        raise click.UsageError(
            "Say which tasks are meant: either IDs, or options such as --queue and --state, or --all."
        )
    if ids and not dry_run:
        return _told(session, await act(list(ids)))
    chosen: FilterArguments = {**meant, "status": meant.get("status") or default}
    count = len(ids) or await session.app.count_tasks(**chosen)
    if dry_run:
        return _counted(session, count)
    if count:
        confirm(f"{verb} {counted(count, 'task')}?", session.out, yes=yes)
    return _told(session, await act(**chosen))


def _counted(session: Session, count: int) -> ExitCode:
    if session.out.as_json:
        session.out.data({"count": count})
    else:
        session.out.say(f"{counted(count, 'task')} meant; nothing was changed.")
    return ExitCode.OK


def _told(session: Session, replies: Mapping[str, str]) -> ExitCode:
    """Print the replies by kind, and return the worst exit code."""
    kinds = Counter(replies.values())
    if session.out.as_json:
        session.out.data({"counts": kinds, "tasks": replies})
    else:
        for kind, count in kinds.items():
            session.out.say(f"{count:,} {_WORDS[kind]}")
        if not kinds:
            session.out.say("No task was meant.")
        if len(replies) > 1:
            for task_id, reply in replies.items():
                if reply in ("missing", "invalid", "conflict"):
                    session.out.note(f"{task_id}: {_WORDS[reply]}")
    if kinds["missing"]:
        return ExitCode.NOT_FOUND
    return ExitCode.FAILED if kinds["invalid"] or kinds["conflict"] else ExitCode.OK
