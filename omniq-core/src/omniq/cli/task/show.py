"""`omniq task show`, and how outcomes are printed."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import click

from omniq.cli.command import store_command
from omniq.cli.event import event_json, timeline
from omniq.cli.exits import ExitCode
from omniq.cli.output import plain, status_text, to_json
from omniq.cli.task.listing import task_json
from omniq.errors import ResultExpiredError, TaskCancelledError, TaskFailedError
from omniq.models.outcome import ResultState
from omniq.models.status import TaskStatus

if TYPE_CHECKING:
    from datetime import timedelta

    from omniq.cli.command import Session
    from omniq.models.outcome import TaskResult
    from omniq.models.task import Task

__all__ = ["exit_code_of_outcome", "outcome_json", "print_outcome", "show"]

_HIDDEN = frozenset({"args", "kwargs", "result", "error", "status", "seq"})


@store_command("show")
@click.argument("task_id", metavar="ID")
async def show(session: Session, /, *, task_id: str) -> None:
    """Show everything about one task: its record, arguments, outcome and timeline.

    With --json: one object with the record, its `outcome`, and its `events`.
    """
    task = await session.app.get_task(task_id)
    outcome = await session.app.get_result(task_id)
    events = await session.app.events(task_id)
    out = session.out
    if out.as_json:
        out.data({**task_json(task), "outcome": outcome_json(outcome), "events": [event_json(item) for item in events]})
        return
    _print_record(session, task)
    out.say()
    _print_result(session, outcome)
    if events:
        out.say()
        timeline(out, events)


def _print_record(session: Session, task: Task) -> None:
    arguments = [_pretty(item) for item in task.args] + [f"{k}={_pretty(v)}" for k, v in task.kwargs.items()]
    rows: list[tuple[str, object]] = [
        ("state", status_text(task.view)),
        ("call", plain(f"{task.func_path}({', '.join(arguments)})")),
    ]
    rows += [
        (name, value) for name, value in task.items() if name not in _HIDDEN and value not in (None, {}, "", False)
    ]
    if task.error:
        rows.append(("error", task.error))
    session.out.table(("FIELD", "VALUE"), rows)


def _print_result(session: Session, outcome: TaskResult[Any]) -> None:
    out = session.out
    if outcome.error is not None:
        out.say(outcome.error.traceback.rstrip() or outcome.error.summary())
    elif outcome.status is TaskStatus.COMPLETED:
        out.say(f"result ({outcome.state}): {_pretty(outcome.value)}")
    else:
        out.say(f"no result yet: the task is {outcome.status}")


def _pretty(value: object) -> str:
    return json.dumps(to_json(value), ensure_ascii=False)


def outcome_json(outcome: TaskResult[Any]) -> dict[str, Any]:
    """Return an outcome as JSON knows it."""
    made: dict[str, Any] = to_json(outcome)
    return made


async def print_outcome(session: Session, task_id: str, wait: timedelta | None = None) -> ExitCode:
    """Print how a task ended, after waiting for it if asked to, and return the exit code that tells it.

    Raises:
        TaskNotFoundError: No task has this id.
        TimeoutError: The time ran out.
    """
    if wait is not None:
        with contextlib.suppress(TaskFailedError, TaskCancelledError, ResultExpiredError):
            await session.app.wait_result(task_id, wait.total_seconds())
    outcome = await session.app.get_result(task_id)
    out = session.out
    if out.as_json:
        out.data(outcome_json(outcome))
    elif outcome.status is TaskStatus.COMPLETED and outcome.is_final:
        out.say(_pretty(outcome.value))
    elif outcome.error is not None:
        out.note(f"{outcome.status}: {outcome.error.traceback.rstrip() or outcome.error.summary()}")
    else:
        out.note(f"{outcome.status}: there is no final result ({outcome.state}).")
    return exit_code_of_outcome(outcome)


def exit_code_of_outcome(outcome: TaskResult[Any]) -> ExitCode:
    """Return the exit code that tells how a task ended."""
    if outcome.state in (ResultState.PENDING, ResultState.PROVISIONAL):
        return ExitCode.TIMEOUT
    if outcome.state is ResultState.EXPIRED:
        return ExitCode.NOT_FOUND
    return ExitCode.OK if outcome.status is TaskStatus.COMPLETED else ExitCode.FAILED
