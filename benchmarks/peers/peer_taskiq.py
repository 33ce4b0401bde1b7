# /// script
# dependencies = ["taskiq", "taskiq-redis"]
# ///
"""taskiq on streams: 100 tasks at a time in one process; results are stored, and interrupted runs are done again."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import Any

from taskiq import TaskiqMiddleware
from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

store, count = sys.argv[1], int(sys.argv[2])
logging.disable()


class Counting(TaskiqMiddleware):
    """Tells when all results are stored."""

    def __init__(self) -> None:
        super().__init__()
        self.left = count
        self.all_are_stored = asyncio.Event()

    def post_save(self, message: Any, result: Any) -> None:
        del message, result
        self.left -= 1
        if not self.left:
            self.all_are_stored.set()


counting = Counting()
broker = RedisStreamBroker(store).with_result_backend(RedisAsyncResultBackend(store)).with_middlewares(counting)


@broker.task
async def noop(number: int) -> int:
    return number


async def main() -> None:
    await broker.startup()
    start = time.perf_counter()
    for first in range(0, count, 100):
        await asyncio.gather(*(noop.kiq(number) for number in range(first, first + 100)))
    middle = time.perf_counter()
    broker.is_worker_process = True
    worker = asyncio.create_task(run_receiver_task(broker, max_async_tasks=100))
    await counting.all_are_stored.wait()
    end = time.perf_counter()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await broker.shutdown()
    print(json.dumps({"enqueue": count / (middle - start), "drain": count / (end - middle)}))


asyncio.run(main())
