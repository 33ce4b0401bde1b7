"""Which points are tried, if there are more than there is time for.

An engine's state changes only where a transaction ends, so most points look alike. The one that tells most is just
before the last write of an operation: whatever the operation does in several steps is then done but for the last.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from omniq_conformance.faults.ledger import Line

__all__ = ["Made", "Window", "choose", "spread", "windows", "within"]

_GOLDEN = 0.618034
"""Multiples of it, without their whole parts, are spread evenly however many are taken."""

Window = tuple[float, float]
"""When an operation began and ended: in seconds of the host's clock, or in calls that were made until then."""


@attrs.frozen
class Made:
    """A call that the scenario made.

    Attributes:
        name: Of the call.
        number: The how manieth of its name it was.
        at: When, as in a window.
    """

    name: str
    number: int
    at: float


def windows(lines: Sequence[Line]) -> list[Window]:
    """Return when each operation of a ledger was under way, opening and closing too."""
    found: list[Window] = []
    began = 0.0
    for what, *details in lines:
        if what == "invoke":
            began = details[-1]
        elif what == "ok":
            found.append((began, details[-1]))
    return found


def choose(made: Sequence[Made], under_way: Sequence[Window], limit: int, seed: int) -> list[Made]:
    """Choose calls: three quarters are the last ones of operations, the others any.

    Args:
        made: All of them.
        under_way: When the operations were.
        limit: How many, about; all if there are not more.
        seed: Others are chosen for another seed.
    """
    if len(made) <= limit:
        return list(made)
    inside = [[call for call in made if began <= call.at <= ended] for began, ended in under_way]
    last = [max(calls, key=lambda call: call.at) for calls in inside if calls]
    chosen = {last[place] for place in _evenly(len(last), limit * 3 // 4, seed)}
    by_name = {(call.name, call.number): call for call in made}
    counts = Counter(call.name for call in made)
    chosen |= {by_name[key] for key in spread(counts, limit - len(chosen), seed)}
    return sorted(chosen, key=lambda call: call.at)


def within(made: Sequence[Made], under_way: Sequence[Window], limit: int, seed: int) -> list[Made]:
    """Choose calls: one somewhere inside of each operation, or of as many operations as there may be calls."""
    if len(made) <= limit:
        return list(made)
    inside = [calls for began, ended in under_way if (calls := [c for c in made if began < c.at <= ended])]
    places = [(place, (seed + place + 1) * _GOLDEN % 1) for place in _evenly(len(inside), limit, seed)]
    return [inside[place][int(part * len(inside[place]))] for place, part in places]


def spread(counts: Mapping[str, int], limit: int, seed: int) -> Iterator[tuple[str, int]]:
    """Choose at most so many calls of those that are made, evenly, the rare ones first.

    Args:
        counts: How many there are of each name.
        limit: How many are chosen, but at least one of each name.
        seed: Others are chosen for another seed, if not all are.
    """
    left = limit
    for place, name in enumerate(sorted(counts, key=lambda name: (counts[name], name))):
        others = len(counts) - place - 1  # those that are made more often have more to tell
        number = min(counts[name], max(1, left // (2 * others or 1)))
        left -= number
        yield from ((name, 1 + index) for index in _evenly(counts[name], number, seed))


def _evenly(total: int, number: int, seed: int) -> list[int]:
    """Return so many of the first `total` numbers, at equal distances."""
    if number >= total:
        return list(range(total))
    step = total / max(1, number)
    offset = seed * _GOLDEN % 1 * step
    return [int(offset + step * index) for index in range(number)]
