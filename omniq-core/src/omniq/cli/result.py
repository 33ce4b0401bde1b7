"""`omniq result`: outcomes of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from omniq.cli.command import group, option, store_command
from omniq.cli.exits import ExitCode
from omniq.cli.filters import confirm, yes_option
from omniq.cli.output import counted, status_text, to_json
from omniq.cli.parsing import duration
from omniq.cli.task.show import print_outcome

if TYPE_CHECKING:
    from datetime import timedelta

    from omniq.cli.command import Session
    from omniq.models.result import ResultRecord

__all__ = ["command"]

command = group("result", "Read and delete results.")

_PAGE = 1000
_SHOWN = 60


@store_command("get", parent=command)
@click.argument("task_id", metavar="ID")
@option("--wait", type=duration, metavar="DURATION", help="Wait so long for the task to end.")
async def get(session: Session, /, *, task_id: str, wait: timedelta | None) -> ExitCode:
    """Print what a task returned, as JSON; a failed one's traceback goes to standard error.

    Exit code 1 if the task failed or was cancelled, 3 if its result is not kept any more, 4 if it has not ended.
    """
    return await print_outcome(session, task_id, wait)


@store_command("list", parent=command)
@option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@option("--all", is_flag=True, help="Without a limit.")
async def list_(session: Session, /, *, limit: int, **given: Any) -> None:
    """List the results that are kept, by the id of their task. With --json: a list of objects."""
    records: list[ResultRecord] = []
    results = (await session.app.connect()).results
    left = None if given["all"] else limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        page = await results.list(after=records[-1].id if records else None, limit=size)
        records += page
        if len(page) < size:
            break
        left = None if left is None else left - len(page)
    if session.out.as_json:
        session.out.data([_json(session, record) for record in records])
        return
    columns = ("TASK", "STATE", "STORED", ">BYTES", "VALUE")
    session.out.table(columns, [_row(session, record) for record in records])
    if left == 0:
        session.out.note(f"These are {len(records):,}; there may be more. See them with --limit or --all.")


@store_command("delete", parent=command)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@yes_option
async def delete(session: Session, /, *, ids: tuple[str, ...], yes: bool) -> ExitCode:
    """Remove results; the records of their tasks stay. Exit code 3 if one was not there."""
    confirm(f"Remove {counted(len(ids), 'result')}?", session.out, yes=yes or len(ids) == 1)
    deleted = await (await session.app.connect()).results.delete(ids)
    missing = [task_id for task_id, was_there in zip(ids, deleted, strict=True) if not was_there]
    if session.out.as_json:
        session.out.data({"deleted": sum(deleted), "missing": missing})
    else:
        session.out.say(f"{counted(sum(deleted), 'result')} removed.")
        for task_id in missing:
            session.out.note(f"{task_id}: no result is kept")
    return ExitCode.NOT_FOUND if missing else ExitCode.OK


def _value(session: Session, record: ResultRecord) -> object:
    if record.value is None:
        return None
    try:
        return session.app.serializers.get(record.codec).loads(record.value)
    except Exception as error:  # noqa: BLE001 - one unreadable value must not hide the others
        return f"<{record.codec}, cannot be decoded here: {error}>"


def _json(session: Session, record: ResultRecord) -> dict[str, object]:
    return {
        "task_id": record.id,
        "status": record.status,
        "value": to_json(_value(session, record)),
        "error": record.error,
        "stored_at": record.finished_at,
        "expires_at_ms": record.expires_at,
    }


def _row(session: Session, record: ResultRecord) -> tuple[object, ...]:
    shown = record.error if record.value is None else repr(_value(session, record))
    text = (shown or "").replace("\n", "\\n")
    size = None if record.value is None else len(record.value)
    cut = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
    return record.id, status_text(record.status), record.finished_at, size, cut
