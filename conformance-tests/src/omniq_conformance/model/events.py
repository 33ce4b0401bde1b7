"""The reference model of the event storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.event import Event, EventFilter

__all__ = ["EventsModel"]


class EventsModel:
    """Answers every call of `EventStorage`; a position is the number of an event in the order of appending.

    Attributes:
        log: Every event ever appended, in order; None where it was trimmed.
        appended: The id of every event ever appended, in order.
        known: The ids of the events that are there.
    """

    def __init__(self) -> None:
        self.log: list[Event | None] = []
        self.appended: list[str] = []
        self.known: set[str] = set()

    def append(self, events: Sequence[Event]) -> int:
        """Answer `EventStorage.append`."""
        number = len(self.log)
        for event in events:
            if event.event_id not in self.known:
                self.known.add(event.event_id)
                self.appended.append(event.event_id)
                self.log.append(event)
        return len(self.log) - number

    def read(
        self, *, after: int | None = None, limit: int = 100, filter: EventFilter | None = None, desc: bool = False
    ) -> list[tuple[int, Event]]:
        """Answer `EventStorage.read`, with the number of each event in place of its position."""
        found = [
            (number, event)
            for number, event in enumerate(self.log)
            if event is not None
            and (filter is None or matches(filter, event))
            and (after is None or (number < after if desc else number > after))
        ]
        return (found[::-1] if desc else found)[:limit]

    def trim(self, before: int, limit: int = 1000) -> int:
        """Answer `EventStorage.trim`."""
        old = [number for number, event in enumerate(self.log) if event is not None and event.at < before][:limit]
        for number in old:
            self.log[number] = None
            self.known.remove(self.appended[number])
        return len(old)


def matches(filter: EventFilter, event: Event) -> bool:
    """Tell whether the filter means the event."""
    wanted = (
        filter.task_id is None or event.task_id == filter.task_id,
        filter.types is None or event.type in filter.types,
        filter.queues is None or event.queue in filter.queues,
        filter.at_from is None or event.at >= filter.at_from,
        filter.at_before is None or event.at < filter.at_before,
    )
    return all(wanted)
