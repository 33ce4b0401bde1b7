"""Which points are tried, if there are more than there is time for.

A store's state changes only where a step of it ends, so most points look alike. Three tell most: in the middle of an
operation, just before its last call, when whatever it does in several steps is done but for the last, and just after
it was acknowledged. So these are tried for each kind of operation.
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


@attrs.frozen
class Window:
    """When an operation was under way.

    Attributes:
        kind: Of the operation.
        began: In seconds of the host's clock, or in calls that were made until then.
        ended: Likewise.
    """

    kind: str
    began: float
    ended: float


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


def windows(lines: Sequence[Line], kinds: Sequence[str]) -> list[Window]:
    """Return when each operation of a ledger was under way; opening and closing come after the `kinds` of the others.

    Args:
        lines: The ledger.
        kinds: Of each operation, by its number.
    """
    found: list[Window] = []
    began = 0.0
    for what, *details in lines:
        if what == "invoke":
            began = details[-1]
        elif what == "ok":
            number = details[0]
            found.append(Window(kinds[number] if number >= 0 else str(number), began, details[-1]))
    return found


def choose(made: Sequence[Made], under_way: Sequence[Window], limit: int, seed: int) -> list[Made]:
    """Choose calls: of each kind of operation one inside of it, the last one, and the one after it; then any.

    Args:
        made: All of them.
        under_way: When the operations were.
        limit: How many, about; all if there are not more.
        seed: Others are chosen for another seed.
    """
    if len(made) <= limit:
        return list(made)
    in_order = sorted(made, key=lambda call: call.at)
    chosen: set[Made] = set()
    for place, window in enumerate(_one_of_each(in_order, under_way, seed)):
        inside = _inside(in_order, window)
        after = [call for call in in_order if call.at > window.ended]
        chosen |= {_anywhere(inside, seed + place), inside[-1], *after[:1]}
    tried = sorted(chosen, key=lambda call: call.at)
    chosen = {tried[place] for place in _evenly(len(tried), limit, seed)}
    by_name = {(call.name, call.number): call for call in made}
    counts = Counter(call.name for call in made)
    chosen |= {by_name[key] for key in spread(counts, max(0, limit - len(chosen)), seed)}
    return sorted(chosen, key=lambda call: call.at)


def within(made: Sequence[Made], under_way: Sequence[Window], limit: int, seed: int) -> list[Made]:
    """Choose calls: somewhere inside of an operation of each kind, again and again until there are enough."""
    if len(made) <= limit:
        return list(made)
    in_order = sorted(made, key=lambda call: call.at)
    chosen: list[Made] = []
    while len(chosen) < limit:
        some = list(_one_of_each(in_order, under_way, seed + len(chosen)))
        for place in _evenly(len(some), limit - len(chosen), seed):
            chosen.append(_anywhere(_inside(in_order, some[place]), seed + len(chosen)))
    return chosen


def _anywhere(calls: Sequence[Made], seed: int) -> Made:
    return calls[int((seed + 1) * _GOLDEN % 1 * len(calls))]


def _one_of_each(made: Sequence[Made], under_way: Sequence[Window], seed: int) -> Iterator[Window]:
    by_kind: dict[str, list[Window]] = {}
    for window in under_way:
        if _inside(made, window):
            by_kind.setdefault(window.kind, []).append(window)
    yield from (found[seed % len(found)] for found in by_kind.values())


def _inside(made: Sequence[Made], window: Window) -> list[Made]:
    return [call for call in made if window.began < call.at <= window.ended]


def spread(counts: Mapping[str, int], limit: int, seed: int) -> Iterator[tuple[str, int]]:
    """Choose at most so many calls of those that are made, evenly, the rare ones first.

    Args:
        counts: How many there are of each name.
        limit: How many are chosen, but at least one of each name unless it is 0.
        seed: Others are chosen for another seed, if not all are.
    """
    left = limit
    if not limit:
        return
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
