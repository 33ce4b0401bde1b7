"""Resident memory of a worker at the start, in the middle and at the end of many tasks.

python benchmarks/memory.py --tasks 200000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def rss() -> float:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


async def fill(count: int) -> None:
    from subject import app, noop

    async with app:
        for start in range(0, count, 10_000):
            await app.enqueue_many(noop, [(number,) for number in range(start, start + 10_000)])


async def drain(count: int) -> dict[str, float]:
    from subject import app

    async with app:
        await app.connect()
        figures = {"start": rss()}
        worker = asyncio.create_task(app.worker(burst=True, concurrency=100).run())
        while "middle" not in figures and not worker.done():
            await asyncio.sleep(0.05)
            done = sum(queue.completed for queue in await app.stats())
            if done >= count // 2:
                figures["middle"] = rss()
        await worker
        figures["end"] = rss()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200_000)
    parser.add_argument("--phase", choices=["fill", "drain"])
    options = parser.parse_args()
    if options.phase == "fill":
        asyncio.run(fill(options.tasks))
    elif options.phase == "drain":
        print(json.dumps(asyncio.run(drain(options.tasks))))
    else:
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "BENCH_FOLDER": folder, "PYTHONPATH": str(HERE)}
            for phase in ("fill", "drain"):
                subprocess.run(
                    [sys.executable, __file__, "--phase", phase, "--tasks", str(options.tasks)], env=env, check=True
                )


if __name__ == "__main__":
    main()
