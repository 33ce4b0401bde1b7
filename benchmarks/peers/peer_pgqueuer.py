# /// script
# dependencies = ["pgqueuer[asyncpg]"]
# ///
"""PgQueuer: 1000 tasks at a time; what a crash interrupted is taken up again, and there are no results."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

if TYPE_CHECKING:
    from pgqueuer.models import Job

store, count = sys.argv[1], int(sys.argv[2])


async def main() -> None:
    connection = await asyncpg.connect(store)
    driver = AsyncpgDriver(connection)
    queries = Queries(driver)
    await queries.install()
    application = PgQueuer(driver)
    start = time.perf_counter()
    for first in range(0, count, 1000):
        numbers = range(first, min(first + 1000, count))
        await queries.enqueue(["noop"] * len(numbers), [b"%d" % number for number in numbers], [0] * len(numbers))
    middle = time.perf_counter()
    done = 0

    @application.entrypoint("noop")
    async def noop(job: Job) -> None:
        nonlocal done
        done += int(job.payload or b"") >= 0

    await application.run(batch_size=1000, mode=QueueExecutionMode.drain)
    end = time.perf_counter()
    assert done == count, done
    print(json.dumps({"enqueue": count / (middle - start), "drain": count / (end - middle)}))


asyncio.run(main())
