"""What a person sees of the demo: bars while it runs, and what came of it."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from omniq.cli.demo.stage import KINDS, SCHEDULE_RUNS, Piece
from omniq.cli.output import Output, age, console, plain, status_text
from omniq.models.event import EventType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.progress import Progress, TaskID

    from omniq.cli.demo.files import Selection
    from omniq.cli.demo.run import Demo

__all__ = ["Screen", "present", "summary"]

_SHOWN = 6
_BAR = 32


class Screen:
    """Shows how far each kind of work is: bars on a terminal, one line a kind elsewhere, nothing beside JSON."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._totals: Counter[str] = Counter()
        self._done: Counter[str] = Counter()

    def start(self, pieces: Sequence[Piece], sparks: int) -> None:
        """Begin with what was enqueued, and with what the speed test is going to enqueue."""
        self._totals.update(piece.kind for piece in pieces)
        self._totals["report"] = SCHEDULE_RUNS
        self._totals["spark"] = sparks
        shown = console()
        if self._out.as_json or not shown.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=shown,
        )
        for kind, description in KINDS.items():
            if self._totals[kind]:
                self._bars[kind] = self._progress.add_task(f"{description:<30}", total=self._totals[kind])
        self._progress.start()

    def advance(self, kind: str, by: int = 1) -> None:
        """Count more tasks of a kind as ended."""
        self._done[kind] += by
        if self._progress is not None:
            self._progress.advance(self._bars[kind], by)
        elif self._done[kind] == self._totals[kind]:
            self._out.say(f"  {KINDS[kind]:<30} {self._done[kind]:,}/{self._totals[kind]:,}")

    def stop(self) -> None:
        """End the bars."""
        if self._progress is not None:
            self._progress.stop()


def present(demo: Demo, selection: Selection, folder: Path, out: Output, options: str) -> None:
    """Print what came of it, for people."""
    _tasks(demo, out)
    _timeline(demo, out)
    _findings(demo, selection, out)
    _checks(demo, out)
    _next_steps(demo, folder, out, options)


def _tasks(demo: Demo, out: Output) -> None:
    from rich.text import Text

    line = Text("\n")
    for state, count in sorted(demo.outcome.states().items()):
        line.append(f"{count} ").append(status_text(state)).append("   ")
    retries = sum(event.type is EventType.RETRYING for event in demo.outcome.events)
    line.append(f"{retries} retries   {len(demo.outcome.fired(demo.stage))} schedule fires   in {age(demo.seconds)}")
    out.say(line)
    types = Counter(event.type.value for event in demo.outcome.events)
    out.say("events: " + ", ".join(f"{count:,} {kind}" for kind, count in types.most_common()))
    if demo.sparks:
        took = demo.outcome.spark_seconds(demo.stage)
        rate = demo.sparks / took
        out.say(f"speed:  {demo.sparks:,} empty tasks enqueued, run and recorded in {age(took)}: {rate:,.0f} tasks/s")


def _timeline(demo: Demo, out: Output) -> None:
    index = next(piece for piece in demo.stage.pieces if piece.kind == "index")
    events = demo.outcome.timeline(str(index.job))
    if not events:
        return
    began = events[0].at
    rows = [
        (f"+{event.at - began} ms", status_text(event.type), event.attempt or None, event.error or "")
        for event in events
    ]
    out.say()
    out.table((">AT", "EVENT", ">ATTEMPT", "ERROR"), rows, title=f"The life of the flaky task {index.job}")


def _findings(demo: Demo, selection: Selection, out: Output) -> None:
    biggest = [(f"{size:,}", name, digest[:12]) for name, size, digest in _biggest(demo, selection)]
    out.say()
    out.table((">BYTES", "BIGGEST FILES", "SHA-256"), biggest)
    words = _words(demo)
    if words:
        listed = ", ".join(f"{word} {count:,}" for word, count in words.most_common(10))
        out.say(f"\nmost frequent words: {listed}")
    before, after, count = _packed(demo)
    if before:
        out.say(f"archives: {count} with {before:,} bytes packed into {after:,} ({after / before:.0%})")


def _checks(demo: Demo, out: Output) -> None:
    from rich.text import Text

    out.say()
    for check in demo.checks:
        mark = Text("  ok     ", style="green") if check.holds else Text("  WRONG  ", style="bold red")
        out.say(mark.append(plain(check.claim) if check.holds else plain(f"{check.claim} ({check.detail})"), "default"))


def _next_steps(demo: Demo, folder: Path, out: Output, options: str) -> None:
    command = "uv run omniq" if "UV_RUN_RECURSION_DEPTH" in os.environ else "omniq"
    if demo.store.backend_type == "memory":
        out.say("\nThe store was in memory and is gone. Without --backend memory it is a file to look into.")
        return
    index = next(piece for piece in demo.stage.pieces if piece.kind == "index")
    out.say(f"\nThe store is {demo.store.url}, the archives are in {folder / 'archives'}. Look around:")
    for step in (
        f"task list --queue {demo.stage.queue}",
        f"task show {index.job}",
        f"event list --queue {demo.stage.queue} --limit 20",
        "queue list",
        "doctor",
    ):
        out.say(f"  {command} {step}{options}")


def _biggest(demo: Demo, selection: Selection) -> list[tuple[str, int, str]]:
    hashed = [piece for piece in demo.stage.pieces if piece.kind == "hash" and piece.value]
    hashed.sort(key=lambda piece: int(piece.value["bytes"]), reverse=True)
    return [(selection.name(piece.subject), piece.value["bytes"], piece.value["sha256"]) for piece in hashed[:_SHOWN]]


def _words(demo: Demo) -> Counter[str]:
    total: Counter[str] = Counter()
    for piece in demo.stage.pieces:
        if piece.kind == "words" and piece.value:
            total.update(piece.value["common"])
    return total


def _packed(demo: Demo) -> tuple[int, int, int]:
    archives = [piece.value for piece in demo.stage.pieces if piece.kind == "archive" and piece.value]
    return sum(a["bytes_before"] for a in archives), sum(a["bytes_after"] for a in archives), len(archives)


def summary(demo: Demo, selection: Selection, folder: Path) -> dict[str, Any]:
    """Return the same as one JSON document."""
    before, after, count = _packed(demo)
    return {
        "ok": demo.succeeded,
        "path": selection.root,
        "files": len(selection.files),
        "files_left_out": selection.total - len(selection.files),
        "store": {"backend": demo.store.backend_type, "url": demo.store.url, "folder": folder},
        "queue": demo.stage.queue,
        "tasks": demo.outcome.states(),
        "seconds": round(demo.seconds, 3),
        "retries": sum(event.type is EventType.RETRYING for event in demo.outcome.events),
        "schedule_fires": len(demo.outcome.fired(demo.stage)),
        "events": Counter(event.type.value for event in demo.outcome.events),
        "speed": {"tasks": demo.sparks, "seconds": demo.outcome.spark_seconds(demo.stage)},
        "biggest_files": [{"name": n, "bytes": b, "sha256": s} for n, b, s in _biggest(demo, selection)],
        "frequent_words": dict(_words(demo).most_common(10)),
        "archives": {"count": count, "bytes_before": before, "bytes_after": after},
        "checks": [{"claim": check.claim, "holds": check.holds, "detail": check.detail} for check in demo.checks],
    }
