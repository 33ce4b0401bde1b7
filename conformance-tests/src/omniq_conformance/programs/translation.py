"""Sequence numbers of the model and of the backend.

A store may leave gaps when it assigns `seq`, so that the numbers of the backend are others than the model's. Which
number stands for which is learnt from answers, and has to keep their order.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.event import Event
from omniq.models.record import Completion, Failure, Grant, Release, TaskRecord, Token
from omniq.models.result import ResultRecord
from omniq_conformance.programs.calls import Entry, Position

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Translation"]


class Translation:
    """Learns and applies the numbers of one namespace.

    Args:
        learning: Whether the backend assigns the numbers; otherwise they are the suite's own and stay as they are.
    """

    def __init__(self, *, learning: bool) -> None:
        self._learning = learning
        self._theirs: dict[int, int] = {}
        self._ours: dict[int, int] = {}
        self._entries: dict[str, Event] = {}
        self._positions: dict[int, str | None] = {}

    def outgoing(self, value: Any) -> Any:  # noqa: PLR0911 - one for each type
        """Return the model's value with the backend's numbers."""
        match value:
            case Token():
                return value._replace(seq=self._theirs.get(value.seq, value.seq))
            case Completion() | Failure():
                return value._replace(token=self.outgoing(value.token), result=self.outgoing(value.result))
            case Release():
                return value._replace(token=self.outgoing(value.token))
            case ResultRecord():
                return attrs.evolve(value, seq=self._theirs.get(value.seq, value.seq))
            case Entry():
                return self._entries[value.event_id]
            case Position():
                return self._positions[value.number]
            case tuple() if type(value) is tuple:
                return tuple(self.outgoing(item) for item in value)
            case list():
                return [self.outgoing(item) for item in value]
            case _:
                return value

    def seq(self, number: int | None) -> int | None:
        """Return the backend's number for one of the model's."""
        return None if number is None else self._theirs.get(number, number)

    def incoming(self, expected: Any, actual: Any) -> Any:
        """Return the backend's answer with the model's numbers, learning those that were not known."""
        if not isinstance(expected, list) or not isinstance(actual, list):
            return actual
        if self._learning:
            self._learn(expected, actual)
        return [self._translated(item) for item in actual]

    def _learn(self, expected: list[Any], actual: list[Any]) -> None:
        for place, item in enumerate(actual):
            theirs = _seq(item)
            if theirs is None or theirs in self._ours:
                continue
            # The item in the same place first: after a purge, tasks of the same id may look alike.
            candidates = [*expected[place : place + 1], *expected]
            alike = (_seq(other) for other in candidates if _key(other) == _key(item))
            ours = next((seq for seq in alike if seq is not None and seq not in self._theirs), None)
            if ours is not None:
                self._theirs[ours] = theirs
                self._ours[theirs] = ours

    def _translated(self, item: Any) -> Any:
        seq = self._ours.get(_seq(item) or 0)
        match item:
            case Event():
                bare = attrs.evolve(item, seq=item.seq if seq is None else seq, position=None)
                self._entries[bare.event_id] = item
                return bare
            case TaskRecord() | ResultRecord() if seq is not None and seq != item.seq:
                return attrs.evolve(item, seq=seq)
            case Grant() if seq is not None and seq != item.token.seq:
                return attrs.evolve(item, token=item.token._replace(seq=seq))
            case _:
                return item

    def remember(self, numbers: Sequence[int], events: Sequence[Event]) -> None:
        """Learn the positions of events that were read."""
        self._positions |= {number: event.position for number, event in zip(numbers, events, strict=False)}

    def disorder(self) -> str | None:
        """Say which sequence numbers are out of order, if any are."""
        pairs = sorted(self._theirs.items())
        for (_, first), (ours, second) in itertools.pairwise(pairs):
            if second <= first:
                return f"task number {ours} has seq {second}, although an older task has {first}"
        return None


def _seq(item: Any) -> int | None:
    if isinstance(item, Grant):
        return item.token.seq
    return item.seq if isinstance(item, TaskRecord | ResultRecord | Event) else None


def _key(item: Any) -> tuple[object, ...] | None:
    """Return what tells the items of one answer apart, beside their numbers."""
    if isinstance(item, Event):
        return item.task_id, item.version, item.at
    return (item.id,) if isinstance(item, TaskRecord | ResultRecord | Grant) else None
