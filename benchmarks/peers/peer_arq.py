# /// script
# dependencies = ["arq"]
# ///
"""arq: 100 tasks at a time in one process; results are stored, and a run that a crash interrupted is done again."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

store, count = sys.argv[1], int(sys.argv[2])


async def noop(context: dict[str, Any], number: int) -> int:
    del context
    return number


async def main() -> None:
    settings = RedisSettings.from_dsn(store)
    pool = await create_pool(settings)
    start = time.perf_counter()
    for first in range(0, count, 100):
        await asyncio.gather(*(pool.enqueue_job("noop", number) for number in range(first, first + 100)))
    middle = time.perf_counter()
    worker = Worker([noop], redis_pool=pool, burst=True, max_jobs=100, poll_delay=0.001, handle_signals=False)
    await worker.async_run()
    end = time.perf_counter()
    assert worker.jobs_complete == count
    await worker.close()
    print(json.dumps({"enqueue": count / (middle - start), "drain": count / (end - middle)}))


asyncio.run(main())
