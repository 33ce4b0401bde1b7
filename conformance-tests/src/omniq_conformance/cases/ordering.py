"""Family 06: the claim order, by every arrangement of a few tasks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from omniq.storage.capabilities import Order
from omniq_conformance.cases.specimens import T0, claim, spec
from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.registry import Trial, case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import TaskSpec

__all__: list[str] = []

_Kind = tuple[int, int, str]
_KINDS: Sequence[_Kind] = tuple(itertools.product((0, 1), (-1, 0, 1), ("a", "b")))
"""Priority, eta relative to the claim, queue."""


def _specs(number: int, kinds: Sequence[_Kind]) -> list[TaskSpec]:
    return [
        spec(f"{number}.{-place}", f"{queue}{number}", priority=priority, eta=T0 + eta)
        for place, (priority, eta, queue) in enumerate(kinds)
    ]


def _order(specs: Sequence[TaskSpec], now: int) -> list[str]:
    """Return the ids that a claim at `now` grants: tasks were enqueued at T0 - 1 in the order of the batch."""
    ranked = sorted(enumerate(specs), key=lambda pair: (-pair[1].priority, pair[1].eta or 0, pair[0]))
    return [each.id for _, each in ranked if (each.eta or 0) <= now]


@case("OQ-Q-0601")
async def every_arrangement(trial: Trial) -> None:
    """Claims follow (priority desc, ready_at asc, seq asc) over the union of the queues, whatever the arrangement."""
    most = trial.profile.ordered_tasks
    arrangements = [kinds for size in range(1, most + 1) for kinds in itertools.product(_KINDS, repeat=size)]
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        if queue.capabilities.order is not Order.EXACT:
            msg = f"The order is {queue.capabilities.order.value}; only an exact one can be predicted."
            raise UnverifiedError(msg)
        batches = [_specs(number, kinds) for number, kinds in enumerate(arrangements)]
        await queue.enqueue([each for batch in batches for each in batch], now=T0 - 1)
        for number, batch in enumerate(batches):
            names = (f"b{number}", f"a{number}")
            first = await claim(queue, *names, limit=2, nonce=3 * number, now=T0)
            rest = await claim(queue, *names, nonce=3 * number + 1, now=T0)
            assert [grant.id for grant in (*first, *rest)] == _order(batch, T0), arrangements[number]
            assert len(first) == min(2, len(_order(batch, T0)))
            late = await claim(queue, *names, nonce=3 * number + 2, now=T0 + 1)
            expected = [id for id in _order(batch, T0 + 1) if id not in _order(batch, T0)]
            assert [grant.id for grant in late] == expected, arrangements[number]


@case("OQ-Q-0602")
async def all_priorities(trial: Trial) -> None:
    """Of the ten priorities 9 goes first, and tasks of one priority go by ready_at, then as they came."""
    async with trial.space() as space:
        queue = (await space.open()).task_queue
        made = [
            spec(f"{p}.{9 - n}", priority=p, eta=T0 + (n % 2)) for n in range(4) for p in (3, 0, 9, 7, 1, 5, 8, 2, 6, 4)
        ]
        await queue.enqueue(made, now=T0)
        expected = [f"{p}.{9 - n}" for p in range(9, -1, -1) for n in (0, 2, 1, 3)]
        granted: list[str] = []
        number = 0
        while grants := await claim(queue, limit=7, nonce=number, now=T0 + 1):
            granted += [grant.id for grant in grants]
            number += 1
        assert granted == expected
