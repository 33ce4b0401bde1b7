"""What an actor did and was told, in a form that crosses processes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Granted", "Operation", "Plan"]


@attrs.frozen
class Plan:
    """What a history is made of.

    Attributes:
        seed: Of the choices of every actor.
        actors: How many act at once.
        tasks: How many tasks each of them enqueues.
        joined: Whether the queue has joined the other roles.
    """

    seed: int
    actors: int
    tasks: int
    joined: bool


def _rank(values: Sequence[int]) -> tuple[int, int, int]:
    priority, ready_at, seq = values
    return priority, ready_at, seq


@attrs.frozen
class Granted:
    """One grant."""

    id: str
    seq: int
    epoch: int
    nonce: str
    attempt: int
    queue: str
    rank: tuple[int, int, int] = attrs.field(converter=_rank)
    lease_until: int


@attrs.frozen(kw_only=True)
class Operation:
    """One call of one actor.

    Attributes:
        actor: Its name, which is also its worker name.
        name: The method.
        began: When it was called, by the host's monotonic clock, in nanoseconds.
        ended: When it answered.
        wall: When it was called, in milliseconds since the epoch.
        items: What it was about: [id, ...] for each item; for a claim [limit, [queue, ...]].
        replies: The answer for each item; for a claim the grants.
        lease_ms: Of a claim or a heartbeat.
    """

    actor: str
    name: str
    began: int
    ended: int
    wall: int
    items: list[Any]
    replies: list[Any]
    lease_ms: int = 0

    def grants(self) -> list[Granted]:
        """Return the grants of a claim."""
        return [Granted(*fields) for fields in self.replies]

    def to_json(self) -> str:
        """Return the operation as one line."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Operation:
        """Return the operation that `to_json` wrote."""
        return cls(**json.loads(line))
