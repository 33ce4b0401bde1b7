"""`omniq schedule`: what is enqueued by the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from omniq.cli.command import group, option, store_command
from omniq.cli.enqueue import task_arguments
from omniq.cli.exits import ExitCode
from omniq.cli.output import age, counted, plain, status_text, to_json
from omniq.cli.parsing import duration, json_value, moment, pairs_of, values_of
from omniq.models.schedule import MisfirePolicy, ScheduleKind

if TYPE_CHECKING:
    from omniq.cli.command import Session
    from omniq.models.schedule import Schedule

__all__ = ["command"]

command = group("schedule", "List, add, pause, resume, fire and delete schedules.")


@store_command("list", parent=command)
async def list_(session: Session) -> None:
    """List all schedules, by name. With --json: a list of objects."""
    schedules = await session.app.list_schedules()
    if session.out.as_json:
        session.out.data([_json(session, schedule) for schedule in schedules])
        return
    columns = ("NAME", "WHEN", "TASK", "QUEUE", "STATE", "NEXT", "LAST", ">RUNS")
    session.out.table(columns, [_row(schedule) for schedule in schedules])


@store_command("add", parent=command)
@click.argument("name")
@task_arguments
@option("--cron", metavar="EXPRESSION", help="'*/15 9-17 * * mon-fri'; six fields begin with the seconds.")
@option("--zone", default="UTC", show_default=True, help="The IANA time zone of --cron: Europe/Berlin.")
@option("--interval", type=duration, metavar="DURATION", help="Every 30s, 15m, 2h.")
@option("--at", type=moment, metavar="TIME", help="Once at this time; with --interval, from this time on.")
@option(
    "--misfire",
    type=click.Choice([str(policy) for policy in MisfirePolicy]),
    default=str(MisfirePolicy.COALESCE),
    show_default=True,
    help="What to do about times that passed while no worker ran: nothing, fire once, or fire for each.",
)
@option("--grace", type=duration, metavar="DURATION", help="A fire that is later than this counts as missed.")
@option("--jitter", type=duration, metavar="DURATION", help="Delay each fire by up to this.")
@option("--max-runs", type=click.IntRange(1), help="End after so many fires.")
@option("--paused", is_flag=True, default=None, help="Add it paused.")
@option("--queue", "-q", help="The queue of its tasks.")
@option("--priority", "-p", type=click.IntRange(0, 9), help="9 runs first.")
@option("--max-retries", type=click.IntRange(0), help="How often each task is tried again.")
@option("--timeout", type=duration, metavar="DURATION", help="How long one attempt may run.")
@option("--result-ttl", type=duration, metavar="DURATION", help="How long results are kept.")
@option("--expires-in", type=duration, metavar="DURATION", help="Do not start a task any more after this time.")
@option("--header", multiple=True, metavar="NAME=TEXT", help="Text that travels with each task.")
async def add(session: Session, /, *, name: str, header: tuple[str, ...], **given: Any) -> None:
    """Add or replace the schedule NAME.

    It says when to enqueue FUNC with these ARGs, which are JSON or else text. Any worker fires it. A schedule that
    exists with the same definition stays as it is.
    """
    args = [json_value(text) for text in given.pop("args")]
    kwargs = values_of(given.pop("kwarg"), "--kwarg")
    headers = pairs_of(header, "--header") or None
    schedule = await session.app.add_schedule(name, given.pop("func"), args, kwargs, headers=headers, **given)
    if session.out.as_json:
        session.out.data(_json(session, schedule))
    else:
        session.out.say(f"{schedule.id}: {_when(schedule)}, next {_distance(schedule.next_run_at)}.")


@store_command("show", parent=command)
@click.argument("name")
async def show(session: Session, /, *, name: str) -> None:
    """Show everything about one schedule, with its next fire times."""
    schedule = await session.app.get_schedule(name)
    times = await session.app.next_fire_times(name)
    if session.out.as_json:
        session.out.data({**_json(session, schedule), "next_fire_times": times})
        return
    described = _described(session, schedule).items()
    rows: list[tuple[str, object]] = [(k, v) for k, v in described if k != "version" and v not in (None, {}, [])]
    rows += [("next" if index == 0 else "", time) for index, time in enumerate(times)]
    session.out.table(("FIELD", "VALUE"), rows)


@store_command("next", parent=command)
@click.argument("name")
@option("--count", "-n", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many.")
async def next_(session: Session, /, *, name: str, count: int) -> None:
    """Print the next times at which a schedule fires, fewer if it ends before."""
    times = await session.app.next_fire_times(name, count)
    if session.out.as_json:
        session.out.data(times)
    else:
        session.out.table(("LOCAL TIME", "UTC", "IN"), [(time, time.isoformat(), _distance(time)) for time in times])


@store_command("pause", parent=command)
@click.argument("name")
async def pause(session: Session, /, *, name: str) -> None:
    """Pass a schedule over until it is resumed."""
    _told(session, await session.app.pause_schedule(name))


@store_command("resume", parent=command)
@click.argument("name")
async def resume(session: Session, /, *, name: str) -> None:
    """Let a paused schedule fire again; what it missed is subject to its misfire policy."""
    _told(session, await session.app.resume_schedule(name))


def _told(session: Session, schedule: Schedule) -> None:
    if session.out.as_json:
        session.out.data(_json(session, schedule))
    else:
        session.out.say(f"{schedule.id}: {'paused' if schedule.paused else 'resumed'}.")


@store_command("run", parent=command)
@click.argument("name")
async def run(session: Session, /, *, name: str) -> None:
    """Enqueue a schedule's task now, besides its fire times, even if it is paused. Prints the id of the task."""
    job = await session.app.run_schedule(name)
    if session.out.as_json:
        session.out.data({"id": job.id})
    else:
        session.out.say(job.id)


@store_command("delete", parent=command)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
async def delete(session: Session, /, *, names: tuple[str, ...]) -> ExitCode:
    """Remove schedules; tasks that they enqueued stay. Exit code 3 if one was not there."""
    missing = [name for name in names if not await session.app.delete_schedule(name)]
    if session.out.as_json:
        session.out.data({"deleted": len(names) - len(missing), "missing": missing})
    else:
        session.out.say(f"{counted(len(names) - len(missing), 'schedule')} removed.")
        for name in missing:
            session.out.note(f"{name}: there is no such schedule")
    return ExitCode.NOT_FOUND if missing else ExitCode.OK


def _arguments(session: Session, schedule: Schedule) -> tuple[Any, Any]:
    body = schedule.body
    try:
        serializer = session.app.serializers.get(body.codec)
        return serializer.loads(body.args), serializer.loads(body.kwargs)
    except Exception as error:  # noqa: BLE001 - one unreadable schedule must not hide the others
        return f"<{body.codec}, cannot be decoded here: {error}>", None


def _json(session: Session, schedule: Schedule) -> dict[str, Any]:
    made = {name: to_json(value) for name, value in _described(session, schedule).items()}
    return {**made, "paused": schedule.paused, "next_run": to_json(schedule.next_run_at)}


def _described(session: Session, schedule: Schedule) -> dict[str, Any]:
    args, kwargs = _arguments(session, schedule)
    return {
        "id": schedule.id,
        "state": _state(schedule),
        "when": _when(schedule),
        "kind": schedule.kind,
        "cron": schedule.cron,
        "zone": schedule.zone if schedule.cron else None,
        "interval": _seconds(schedule.interval_ms),
        "func_path": schedule.body.func,
        "args": args,
        "kwargs": kwargs,
        "queue": schedule.queue,
        "priority": schedule.priority,
        "max_retries": schedule.max_attempts - 1,
        "timeout": _seconds(schedule.body.timeout_ms),
        "expires_in": _seconds(schedule.expires_in_ms),
        "misfire": schedule.misfire,
        "grace": _seconds(schedule.grace_ms),
        "jitter": _seconds(schedule.jitter_ms or None),
        "max_runs": schedule.max_runs,
        "runs": schedule.runs,
        "last_run": schedule.last_run_at,
        "version": schedule.version,
    }


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _state(schedule: Schedule) -> str:
    if schedule.next_run is None:
        return "ended"
    return "paused" if schedule.paused else "active"


def _when(schedule: Schedule) -> str:
    if schedule.kind is ScheduleKind.CRON:
        return f"{schedule.cron} ({schedule.zone})"
    if schedule.kind is ScheduleKind.INTERVAL:
        return f"every {age((schedule.interval_ms or 0) / 1000)}"
    return "once"


def _distance(time: datetime | None) -> str:
    if time is None:
        return "never"
    seconds = (time - datetime.now(UTC)).total_seconds()
    return f"in {age(seconds)}" if seconds >= 0 else f"{age(-seconds)} ago"


def _row(schedule: Schedule) -> tuple[object, ...]:
    runs = f"{schedule.runs}" if schedule.max_runs is None else f"{schedule.runs}/{schedule.max_runs}"
    return (
        schedule.id,
        plain(_when(schedule)),
        schedule.body.func,
        schedule.queue,
        status_text(_state(schedule)),
        _distance(schedule.next_run_at),
        None if schedule.last_run_at is None else _distance(schedule.last_run_at),
        runs,
    )
