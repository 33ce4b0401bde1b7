"""`omniq event`: what happened."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

import click

from omniq.cli.command import group, option, store_command
from omniq.cli.output import age, plain, status_text, to_json
from omniq.cli.parsing import moment, names_of
from omniq.models.event import EventType

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from datetime import datetime

    from rich.text import Text

    from omniq.app import AsyncOmniQ
    from omniq.cli.command import Session
    from omniq.cli.output import Output
    from omniq.models.event import Event

__all__ = ["command", "event_json", "follow", "print_event", "timeline"]

F = TypeVar("F", bound="Callable[..., Any]")

command = group("event", "List and follow what happened.")

_TYPES = [str(kind) for kind in EventType]


def _event_filter(func: F) -> F:
    options = [
        option("--task", metavar="ID", help="Of this task; sched:NAME means a schedule."),
        option(
            "--type",
            "-t",
            multiple=True,
            type=click.Choice(_TYPES, case_sensitive=False),
            metavar="TYPE",
            help=f"Of this type; repeat it for several. One of {', '.join(_TYPES)}.",
        ),
        option("--queue", "-q", multiple=True, metavar="NAMES", help="Of tasks of these queues, with commas."),
    ]
    for add in reversed(options):
        func = add(func)
    return func


def _chosen(given: dict[str, Any]) -> dict[str, Any]:
    return {"task": given["task"], "types": given["type"] or None, "queue": names_of(given["queue"]) or None}


@store_command("list", parent=command)
@_event_filter
@option("--since", type=moment, metavar="TIME", help="Not before: -1h, 2026-11-30T08:00.")
@option("--until", type=moment, metavar="TIME", help="Before.")
@option("--limit", "-n", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@option("--all", is_flag=True, help="Without a limit.")
@option("--oldest-first", is_flag=True, help="In the order of time, instead of the newest first.")
async def list_(
    session: Session, /, *, since: datetime | None, until: datetime | None, limit: int, oldest_first: bool, **given: Any
) -> None:
    """List events, the newest first. With --json: a list of objects."""
    size = None if given.pop("all") else limit
    events = await session.app.events(
        **_chosen(given), since=since, until=until, limit=size, newest_first=not oldest_first
    )
    if session.out.as_json:
        session.out.data([event_json(event) for event in events])
        return
    columns = ("TIME", "EVENT", "TASK", "QUEUE", ">TRY", "TOOK", "WORKER", "ERROR")
    session.out.table(columns, [_row(event) for event in events])
    if len(events) == size:
        session.out.note(f"These are {size:,}; there may be more. See them with --limit or --all.")


@store_command("tail", parent=command)
@_event_filter
@option(
    "--last", type=click.IntRange(0), default=10, show_default=True, help="Begin with so many that are there already."
)
@option("--count", type=click.IntRange(1), help="End after so many.", show_default="never")
async def tail(session: Session, /, *, last: int, count: int | None, **given: Any) -> None:
    """Follow events as they come, until Ctrl-C. With --json: one object a line."""
    shown = 0
    async with aclosing(follow(session.app, last, **_chosen(given))) as events:
        async for event in events:
            print_event(session, event)
            shown += 1
            if shown == count:
                return


async def follow(app: AsyncOmniQ, last: int | None, **chosen: Any) -> AsyncGenerator[Event, None]:
    """Yield the latest events that are there, and then those that come, each once.

    Args:
        app: The application.
        last: How many of those that are there; None means all.
        **chosen: Which events, as `AsyncOmniQ.tail_events` takes it.
    """
    newest = await app.events(limit=1, newest_first=True)
    earlier = await app.events(**chosen, limit=last, newest_first=True)
    # The tail begins where the first of the two readings ended, so that nothing between them is left out.
    known = {event.event_id for event in earlier}
    for event in reversed(earlier):
        yield event
    async for event in app.tail_events(**chosen, after=newest[0].position if newest else None):
        if event.event_id not in known:
            yield event


def print_event(session: Session, event: Event) -> None:
    """Print one event of a stream as a line."""
    if session.out.as_json:
        session.out.line(event_json(event))
    else:
        session.out.say(_line(event))


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as JSON knows it."""
    made: dict[str, Any] = to_json(event)
    return {"id": event.event_id, "time": to_json(event.time), **made}


def _line(event: Event) -> Text:
    from rich.text import Text

    line = Text(f"{_clock(event.time)} ").append(status_text(f"{event.type:<16}"))
    return line.append(plain(f" {event.task_id}{_details(event)}"))


def _details(event: Event) -> str:
    words = []
    if event.attempt:
        words.append(f"attempt {event.attempt}")
    if event.worker:
        words.append(f"by {event.worker}")
    if event.duration_ms is not None:
        words.append(f"after {age(event.duration_ms / 1000)}")
    if event.error:
        words.append(event.error)
    return f"  {', '.join(words)}" if words else ""


def timeline(out: Output, events: Sequence[Event]) -> None:
    """Print the events of one task, with their distance from the first."""
    began = events[0].at
    rows = [
        (
            f"+{age((event.at - began) / 1000)}",
            status_text(event.type),
            event.attempt or None,
            None if event.duration_ms is None else age(event.duration_ms / 1000),
            event.worker,
            event.error or "",
        )
        for event in events
    ]
    out.table((">AT", "EVENT", ">TRY", ">TOOK", "WORKER", "ERROR"), rows)


def _row(event: Event) -> tuple[object, ...]:
    took = None if event.duration_ms is None else age(event.duration_ms / 1000)
    attempt = event.attempt or None
    kind = status_text(event.type)
    return _clock(event.time), kind, event.task_id, event.queue, attempt, took, event.worker, event.error or ""


def _clock(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
