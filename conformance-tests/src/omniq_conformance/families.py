"""The families of cases: what each is there to guarantee, and the level that it counts towards."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAMILIES", "Family", "Level"]


class Level(StrEnum):
    """What a backend may claim once every case of the level's families passes, in the order of reaching them."""

    CORE = "core"
    """Every operation does what the contract says."""
    CONCURRENT = "concurrent"
    """So it does with many handles, threads and processes at once."""
    CRASH_SAFE = "crash-safe"
    """Processes, servers and networks may die at any moment."""
    DURABLE = "durable"
    """What was acknowledged survives what the backend declares."""
    UPGRADABLE = "upgradable"
    """Stores that older versions wrote are opened, newer ones refused."""


@attrs.frozen(kw_only=True)
class Family:
    """A family of cases.

    Attributes:
        number: The first two digits of the number in its cases' ids.
        name: Short, for columns and options.
        guarantee: What a user may rely on when the family passes.
        level: What it counts towards.
    """

    number: int
    name: str
    guarantee: str
    level: Level


_ALL = (
    Family(
        number=1,
        name="programs",
        guarantee="Whatever is done in whatever order, every answer and every record is the contract's.",
        level=Level.CORE,
    ),
    Family(
        number=2,
        name="concurrency",
        guarantee="Many workers at once never hold the same task, and lose none.",
        level=Level.CONCURRENT,
    ),
    Family(
        number=3,
        name="faults",
        guarantee="A process, server or connection that dies at any moment loses nothing that was acknowledged.",
        level=Level.CRASH_SAFE,
    ),
    Family(
        number=4,
        name="durability",
        guarantee="An acknowledged write is as durable as the backend declares.",
        level=Level.DURABLE,
    ),
    Family(
        number=5,
        name="values",
        guarantee="Names and bodies come back as they were given; what cannot be kept is refused before it is stored.",
        level=Level.CORE,
    ),
    Family(
        number=6,
        name="order",
        guarantee="Tasks are claimed by priority, then by time, then as they came.",
        level=Level.CORE,
    ),
    Family(
        number=7,
        name="deadlines",
        guarantee="Delays, leases, expiry and times to live hold to the millisecond.",
        level=Level.CORE,
    ),
    Family(
        number=8,
        name="paging",
        guarantee="Listing by pages misses and repeats nothing while others write.",
        level=Level.CORE,
    ),
    Family(
        number=9,
        name="lifetime",
        guarantee="Stores open, close, reopen and fork without leaving anything behind or losing anything.",
        level=Level.CORE,
    ),
    Family(
        number=10,
        name="waking",
        guarantee="Who waits is told: idle workers of work, callers of ends, followers of events.",
        level=Level.CORE,
    ),
    Family(
        number=11,
        name="schedules",
        guarantee="Schedules fire once for each time, also where clocks are put forward or back.",
        level=Level.CORE,
    ),
    Family(
        number=12,
        name="upgrade",
        guarantee="Stores of older versions are opened with everything in them; newer ones are refused untouched.",
        level=Level.UPGRADABLE,
    ),
    Family(
        number=13,
        name="clocks",
        guarantee="Clocks that differ or step back cause no double run and no storm of expired leases.",
        level=Level.CRASH_SAFE,
    ),
    Family(
        number=14,
        name="liveness",
        guarantee="Nothing starves: once faults stop, everything that can end does.",
        level=Level.CRASH_SAFE,
    ),
    Family(
        number=15,
        name="transactions",
        guarantee="What a caller's own transaction enqueues is there with its commit, and never after a rollback.",
        level=Level.CORE,
    ),
)

FAMILIES: Mapping[int, Family] = {family.number: family for family in _ALL}
"""Every family, by its number."""
