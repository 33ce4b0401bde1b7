"""A worker that is stopped, as a process is by a debugger or a machine by its host, and goes on too late."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from omniq.models.record import Completion, Failure
from omniq_conformance.faults.points import CallCounter

if TYPE_CHECKING:
    from omniq_conformance.faults.ledger import Ledger
    from omniq_conformance.space import Space

__all__ = ["QUEUE", "WORKER", "settle_late", "stop_while_settling"]

QUEUE, WORKER = "a", "stopped"
_LIMIT = 4


async def settle_late(space: Space, ledger: Ledger, lease_ms: int) -> None:
    """Claim, stop, and settle everything in every way once woken."""
    queue = (await space.open()).task_queue
    grants = await queue.claim((QUEUE,), _LIMIT, WORKER, lease_ms, f"{1:016x}")
    tokens = {grant.id: grant.token for grant in grants}
    ledger.note("granted", sorted(tokens))
    os.kill(os.getpid(), signal.SIGSTOP)
    ledger.note("woken")
    first, second, third, fourth = sorted(tokens)
    ledger.note("beat", *await queue.heartbeat(list(tokens.items()), lease_ms))
    ledger.note("completed", *await queue.complete([Completion(first, tokens[first])]))
    ledger.note("failed", *await queue.fail([Failure(second, tokens[second], "late")]))
    ledger.note("retried", *await queue.fail([Failure(third, tokens[third], "late", await queue.time())]))
    ledger.note("completed", *await queue.complete([Completion(fourth, tokens[fourth])]))
    await space.close()


async def stop_while_settling(space: Space, ledger: Ledger, lease_ms: int, package: str, number: int) -> None:
    """Claim, and be stopped at one of the calls inside of the backend's package while completing.

    Notes how many calls completing takes, and what it was told.
    """
    counter = CallCounter(package, number=signal.SIGSTOP)
    counter.start()
    queue = (await space.open()).task_queue
    (grant,) = await queue.claim((QUEUE,), 1, WORKER, lease_ms, f"{1:016x}")
    before = counter.seen
    ledger.note("granted", grant.id)
    counter.last = before + number if number else 0
    replies = await queue.complete([Completion(grant.id, grant.token)])
    ledger.note("took", counter.seen - before)
    ledger.note("completed", *replies)
    counter.last = 0
    await space.close()
