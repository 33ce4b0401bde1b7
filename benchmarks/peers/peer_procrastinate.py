# /// script
# dependencies = ["procrastinate"]
# ///
"""procrastinate: 100 tasks at a time; what a crash interrupted has to be found by a task of one's own, no results."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import procrastinate

store, count = sys.argv[1], int(sys.argv[2])
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=store, min_size=1, max_size=10))


@app.task(name="noop")
async def noop(number: int) -> None:
    del number


async def main() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        start = time.perf_counter()
        for first in range(0, count, 1000):
            await noop.batch_defer_async(*({"number": number} for number in range(first, min(first + 1000, count))))
        middle = time.perf_counter()
        await app.run_worker_async(concurrency=100, wait=False, install_signal_handlers=False, listen_notify=False)
        end = time.perf_counter()
        left = await app.job_manager.list_jobs_async(status="todo")
        assert not list(left)
    print(json.dumps({"enqueue": count / (middle - start), "drain": count / (end - middle)}))


asyncio.run(main())
