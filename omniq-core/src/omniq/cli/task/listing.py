"""`omniq task list`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from omniq.cli.command import option, store_command
from omniq.cli.filters import conditions, filter_options
from omniq.cli.output import age, plain, status_text, to_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omniq.cli.command import Session
    from omniq.models.task import Task

__all__ = ["list_", "task_json"]

_LIMIT = 50
_ARGUMENTS = 40


@store_command("list")
@filter_options
@option("--limit", "-n", type=click.IntRange(1), default=_LIMIT, show_default=True, help="At most so many.")
@option("--all", is_flag=True, help="Without a limit.")
@option("--oldest-first", is_flag=True, help="In the order in which they were enqueued, instead of the newest first.")
async def list_(session: Session, /, *, limit: int, oldest_first: bool, **given: Any) -> None:
    """List tasks, the newest first.

    SCHEDULED, READY and EXPIRED are views of PENDING; STALE is a RUNNING task whose worker gives no sign of life.
    What the limit leaves out is counted on standard error. With --json: a list of objects.
    """
    meant = conditions(given)
    size = None if given.pop("all") else limit
    tasks = session.app.iter_tasks(limit=size, newest_first=not oldest_first, **meant)
    if session.out.as_json:
        shown = await session.out.stream(_described(tasks))
    else:
        now = datetime.now(UTC)
        rows = [_row(task, now) async for task in tasks]
        session.out.table(("ID", "TASK", "STATE", "QUEUE", ">PRIO", ">TRY", "ENQUEUED", "ERROR"), rows)
        shown = len(rows)
    if shown == size:
        total = await session.app.count_tasks(**meant)
        if total > shown:
            session.out.note(f"{shown:,} of {total:,} tasks. More with --limit, all of them with --all.")


async def _described(tasks: AsyncIterator[Task]) -> AsyncIterator[dict[str, Any]]:
    async for task in tasks:
        yield task_json(task)


def _row(task: Task, now: datetime) -> tuple[object, ...]:
    tried = f"{task.attempts}/{task.max_retries + 1}"
    ago = f"{age(max(0.0, (now - task.enqueued_at).total_seconds()))} ago"
    return task.id, _call(task), status_text(task.view), task.queue, task.priority, tried, ago, task.error or ""


def _call(task: Task) -> str:
    """Return the function's name and the beginning of its arguments."""
    words = [repr(item) for item in task.args] + [f"{name}={value!r}" for name, value in task.kwargs.items()]
    text = ", ".join(words)
    shown = text if len(text) <= _ARGUMENTS else f"{text[: _ARGUMENTS - 3]}..."
    return plain(f"{task.func_path}({shown})").replace("\n", "\\n")


def task_json(task: Task) -> dict[str, Any]:
    """Return everything about a task, as JSON knows it."""
    extra = {"view": task.view, "finished_at": task.finished_at}
    return {name: to_json(value) for name, value in {**task, **extra}.items()}
