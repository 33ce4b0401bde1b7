"""OmniQ on SQLite and huey on SQLite, in one run.

    uv run --with huey python benchmarks/peers.py --tasks 20000

huey runs one worker thread that polls every millisecond; its tasks count when their results are stored. It has no
leases and no events, so a crash loses what its worker held.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import throughput


def measure_huey(folder: Path, count: int) -> dict[str, float]:
    from huey import SqliteHuey

    huey = SqliteHuey(filename=str(folder / "huey.db"))

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
        time.sleep(0.05)
    end = time.perf_counter()
    consumer.stop(graceful=True)
    return {"enqueue": count / (middle - start), "drain": count / (end - middle)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    ours = SimpleNamespace(
        backend="sqlite", tasks=options.tasks, concurrency=100, processes=1, busy=False, full=False, fsync_us=0
    )
    for _ in range(options.repeats):
        figures = {"omniq": throughput.once(ours)}
        with tempfile.TemporaryDirectory() as folder:
            figures["huey"] = measure_huey(Path(folder), options.tasks)
        for name, figure in figures.items():
            ratio = figures["omniq"]["drain"] / figure["drain"]
            enqueued, drained = figure["enqueue"], figure["drain"]
            print(f"{name:8} enqueue {enqueued:8,.0f}/s   drain {drained:8,.0f}/s   omniq's drain / its {ratio:5.2f}")


if __name__ == "__main__":
    main()
