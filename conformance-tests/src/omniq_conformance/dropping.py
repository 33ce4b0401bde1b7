"""A process that drops its handles without closing them: it has to end all the same."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from typing import TYPE_CHECKING

from omniq_conformance.cases.specimens import spec
from omniq_conformance.references import harness_from

if TYPE_CHECKING:
    from omniq_conformance.harness import Harness

__all__ = ["DROPPED", "ROUNDS", "main"]

DROPPED = "dropped"
ROUNDS = 3


async def _drop(harness: Harness, namespace: str) -> None:
    for number in range(ROUNDS):
        opened = await harness.open(namespace)
        if opened.task_queue is not None:
            await opened.task_queue.enqueue([spec(f"t{number}")])
            await opened.task_queue.wait(["other"], 0.001)
        del opened
        gc.collect()


def main() -> None:
    """Do what the argument says, in an event loop of its own."""
    order = json.loads(sys.argv[1])
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_drop(harness_from(order["harness"]), order["namespace"]))
    sys.stdout.write(DROPPED)


if __name__ == "__main__":
    main()
