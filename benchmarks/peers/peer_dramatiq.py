# /// script
# dependencies = ["dramatiq[redis]"]
# ///
"""dramatiq: one process with 8 threads; results are stored, and a run that a crash interrupted is done again."""

from __future__ import annotations

import json
import sys
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

store, count = sys.argv[1], int(sys.argv[2])
broker = RedisBroker(url=store)
broker.add_middleware(Results(backend=RedisBackend(url=store)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop(number: int) -> int:
    return number


start = time.perf_counter()
for number in range(count):
    noop.send(number)
middle = time.perf_counter()
worker = dramatiq.Worker(broker, worker_threads=8)
worker.start()
broker.join(noop.queue_name)
worker.join()
end = time.perf_counter()
worker.stop()
print(json.dumps({"enqueue": count / (middle - start), "drain": count / (end - middle)}))
