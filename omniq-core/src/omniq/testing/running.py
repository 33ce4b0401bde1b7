"""Running what was enqueued, within a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.app import AsyncOmniQ, OmniQ
    from omniq.models.record import QueueStats

__all__ = ["drain", "run_until_idle"]


async def run_until_idle(app: AsyncOmniQ) -> int:
    """Run tasks, and those that they enqueue, until none is ready or running in any queue that is not paused.

    Tasks whose time has not come stay, also those that wait for a retry.

    Args:
        app: The application.

    Returns:
        How many runs there were.
    """
    runs = 0
    while queues := _busy(await app.stats()):
        runs += (await app.worker(queues=queues, burst=True, scheduler=False).run()).claimed
    return runs


def drain(app: OmniQ) -> int:
    """Do for an `OmniQ` what `run_until_idle` does for an `AsyncOmniQ`.

    Args:
        app: The application.

    Returns:
        How many runs there were.
    """
    runs = 0
    while queues := _busy(app.stats()):
        runs += app.worker(queues=queues, burst=True, scheduler=False).run().claimed
    return runs


def _busy(stats: Sequence[QueueStats]) -> list[str]:
    return [queue.name for queue in stats if not queue.paused and (queue.ready or queue.running)]
