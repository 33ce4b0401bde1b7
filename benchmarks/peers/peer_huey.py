# /// script
# dependencies = ["huey", "redis"]
# ///
"""huey: one consumer thread; results are stored, and a crash loses what it held."""

from __future__ import annotations

import json
import sys
import threading
import time

from huey import FileHuey, RedisHuey, SqliteHuey

store, count = sys.argv[1], int(sys.argv[2])
if store.startswith("redis://"):
    huey = RedisHuey(url=store)
elif store.endswith("/"):
    huey = FileHuey(path=store)
else:
    huey = SqliteHuey(filename=store)


@huey.task()
def noop(number: int) -> int:
    return number


start = time.perf_counter()
for number in range(count):
    noop(number)
middle = time.perf_counter()
consumer = huey.create_consumer(workers=1, initial_delay=0.001, max_delay=0.001, periodic=False)
consumer._set_signal_handlers = lambda: None  # noqa: SLF001 -- it runs outside the main thread here
threading.Thread(target=consumer.start).start()
while huey.result_count() < count:
    time.sleep(0.02)
end = time.perf_counter()
consumer.stop(graceful=True)
print(json.dumps({"enqueue": count / (middle - start), "drain": count / (end - middle)}))
