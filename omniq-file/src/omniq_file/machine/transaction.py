"""The effects of one decision: applied to the view at once, and listed for the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from omniq_file.machine.stored import fields_of, fields_of_task, read_changes, read_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from omniq.models.record import TaskBody, TaskRecord
    from omniq.models.result import ResultRecord
    from omniq.models.schedule import Schedule
    from omniq_file.machine.stored import Row
    from omniq_file.machine.view import View

__all__ = ["Effect", "Reader", "Transaction", "Writer", "checkpoint_pages", "fold"]

Effect = list[Any]
"""The name of an effect and its arguments."""

_PAGE = 500


class Transaction:
    """One decision.

    Args:
        view: What it is made on; changes at once.
        now: The time of the decision, in milliseconds since the epoch.

    Attributes:
        effects: For the log.
    """

    __slots__ = ("effects", "now", "view")

    def __init__(self, view: View, now: int) -> None:
        self.view = view
        self.now = now
        self.effects: list[Effect] = []

    def new(self, task: TaskRecord) -> None:
        """Add a task."""
        self.effects.append(["new", fields_of_task(task), task.body])
        self.view.new(task)

    def set(self, task: TaskRecord, changes: dict[str, Any]) -> None:
        """Change fields of a task."""
        self.effects.append(["set", task.seq, changes])
        self.view.set(task.seq, changes)

    def gone(self, tasks: Iterable[TaskRecord]) -> None:
        """Remove tasks."""
        seqs = [task.seq for task in tasks]
        self._do("gone", self.view.gone, seqs, bool(seqs))

    def event(self, row: Row) -> None:
        """Append an event to the lifecycle log."""
        self.effects.append(["event", row])
        self.view.event(row)

    def trim(self, spans: list[list[int]]) -> None:
        """Remove events."""
        self._do("trim", self.view.trim, spans, bool(spans))

    def owe(self, row: Row) -> None:
        """Add a transition that other storages have to hear of."""
        self.effects.append(["owe", row])
        self.view.owe(row)

    def ack(self, entries: Sequence[tuple[int, int]]) -> None:
        """Forget transitions, by seq and version."""
        known = [entry for entry in dict.fromkeys(entries) if entry in self.view.owed]
        self._do("ack", self.view.ack, known, bool(known))

    def result(self, record: ResultRecord) -> None:
        """Store an outcome in place of what is there."""
        self.effects.append(["result", record])
        self.view.result(record)

    def drop_results(self, ids: Iterable[str]) -> None:
        """Remove outcomes."""
        found = list(ids)
        self._do("drop_results", self.view.drop_results, found, bool(found))

    def schedule(self, schedule: Schedule) -> None:
        """Store a schedule in place of what is there."""
        self.effects.append(["schedule", fields_of(schedule), schedule.body])
        self.view.schedule(schedule)

    def drop_schedules(self, ids: Iterable[str]) -> None:
        """Remove schedules."""
        found = list(ids)
        self._do("drop_schedules", self.view.drop_schedules, found, bool(found))

    def pause(self, queues: Iterable[str]) -> None:
        """Pause queues."""
        names = [name for name in dict.fromkeys(queues) if name not in self.view.paused]
        self._do("pause", self.view.pause, names, bool(names))

    def resume(self, queues: Iterable[str]) -> None:
        """Resume queues."""
        names = [name for name in dict.fromkeys(queues) if name in self.view.paused]
        self._do("resume", self.view.resume, names, bool(names))

    def _do(self, name: str, apply: Callable[[Any], None], argument: object, worth: bool) -> None:  # noqa: FBT001
        if worth:
            self.effects.append([name, argument])
            apply(argument)


class Writer(Protocol):
    """Writes plain data, and what effects have beside it; see `omniq_file.formats`."""

    def dump(self, data: object) -> bytes:
        """Write an entry."""


class Reader(Protocol):
    """How the log writes what is no plain data; see `omniq_file.formats`."""

    def body(self, data: Any) -> TaskBody:
        """Read a body."""

    def result(self, data: Any) -> ResultRecord:
        """Read an outcome."""

    def schedule(self, fields: dict[str, Any], body: Any) -> Schedule:
        """Read a schedule."""


def fold(view: View, effects: Iterable[Effect], reader: Reader) -> None:
    """Apply effects that were read from the log."""
    for effect in effects:
        match effect[0]:
            case "set":
                view.set(effect[1], read_changes(effect[2]))
            case "new":
                view.new(read_task(effect[1], reader.body(effect[2])))
            case "event":
                view.event(effect[1])
            case "owe":
                view.owe(effect[1])
            case "ack":
                view.ack([(seq, version) for seq, version in effect[1]])
            case "result":
                view.result(reader.result(effect[1]))
            case "schedule":
                view.schedule(reader.schedule(effect[1], effect[2]))
            case "base" | "gone" | "trim" | "skip" | "drop_results" | "drop_schedules" | "pause" | "resume" as name:
                getattr(view, name)(effect[1])
            case _:
                msg = f"unknown effect {effect[0]!r}"
                raise ValueError(msg)


def checkpoint_pages(view: View, number: int, writer: Writer) -> Iterable[bytes]:
    """Yield the entries that a checkpoint before an entry consists of."""
    for effects in _pages(view):
        yield writer.dump({"n": number, "at": view.clock, "do": effects})


def _pages(view: View) -> Iterable[list[Effect]]:
    """Yield pages of effects that make an empty view into this one."""
    page: list[Effect] = []
    for effect in _whole(view):
        page.append(effect)
        if len(page) >= _PAGE:
            yield page
            page = []
    yield page


def _whole(view: View) -> Iterable[Effect]:
    first = next((number for number, _ in view.events), view.events.end)
    places = view.places() - len(view.outbox)
    yield ["base", {"seq": view.seq, "clock": view.clock, "places": places, "events": first}]
    for seq in view.order:
        task = view.by_seq.get(seq)
        if task is not None:
            yield ["new", fields_of(task), task.body]
    for row in view.outbox.values():
        yield ["owe", row]
    for number, row in view.events:
        if number > first:
            yield ["skip", number - first]
        yield ["event", row]
        first = number + 1
    if first < view.events.end:
        yield ["skip", view.events.end - first]
    for record in view.results:
        yield ["result", record]
    for schedule in view.schedules.values():
        yield ["schedule", fields_of(schedule), schedule.body]
    yield ["pause", sorted(view.paused)]
