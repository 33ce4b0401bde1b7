"""Milliseconds from `enqueue` to the task's first line on an idle worker, and from there to the result in the producer.

python benchmarks/latency.py --backend sqlite
python benchmarks/latency.py --separate          the worker is a process of its own
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from server import add_options, served

HERE = Path(__file__).parent


def now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)


async def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    from subject import app, stamp

    figures: dict[str, list[float]] = {"enqueue call": [], "pick-up": [], "result": []}
    async with app:
        worker = None if options.separate else await app.worker(concurrency=10).__aenter__()
        await (await stamp.enqueue()).result(timeout=30)
        for _ in range(options.tasks):
            await asyncio.sleep(0.02)
            start = now()
            job = await stamp.enqueue()
            stored = now()
            running = await job.result(timeout=10)
            end = now()
            for name, value in (
                ("enqueue call", stored - start),
                ("pick-up", running - start),
                ("result", end - running),
            ):
                figures[name].append(value * 1000)
        if worker is not None:
            await worker.__aexit__(None, None, None)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--backend", default="sqlite", choices=["sqlite", "file", "memory", "nats", "postgres", "redis"]
    )
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--separate", action="store_true")
    add_options(parser)
    options = parser.parse_args()
    with served(options), tempfile.TemporaryDirectory() as folder:
        os.environ |= {"BENCH_FOLDER": folder, "BENCH_BACKEND": options.backend, "PYTHONPATH": str(HERE)}
        worker = None
        if options.separate:
            command = [sys.executable, "-m", "omniq", "worker", "subject:app", "--concurrency", "10"]
            worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            figures = asyncio.run(measure(options))
        finally:
            if worker is not None:
                worker.terminate()
                worker.wait()
    for name, values in figures.items():
        values.sort()
        p50, p99 = values[len(values) // 2], values[int(len(values) * 0.99)]
        print(f"{name:14} p50 {p50:7.3f} ms   p99 {p99:7.3f} ms")


if __name__ == "__main__":
    main()
