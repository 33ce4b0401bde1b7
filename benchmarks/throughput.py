"""Tasks a second: enqueue in bulk, then drain with one or several worker processes.

A task counts when it is recorded as done, with its result and its three events: the clock runs until the workers have
returned, and the rows are counted afterwards. Beside every figure stands its ratio to the bare reference worker, run
before and after in the same process, because machines differ and are noisy.

    python benchmarks/throughput.py --backend sqlite --tasks 50000
    python benchmarks/throughput.py --processes 4
    python benchmarks/throughput.py --full --fsync-us 1000
    python benchmarks/throughput.py --busy
    python benchmarks/throughput.py --backend redis --aof always
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from server import add_options, served

HERE = Path(__file__).parent


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--backend", default="sqlite", choices=["sqlite", "file", "memory", "nats", "postgres", "redis"]
    )
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--busy", action="store_true", help="burn 1 ms of every turn of the worker's event loop")
    parser.add_argument("--full", action="store_true", help="synchronous = FULL, or fsync = always")
    parser.add_argument("--fsync-us", type=int, default=0, help="make every fsync take this many microseconds")
    parser.add_argument("--repeats", type=int, default=3)
    add_options(parser)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--phase", choices=["all", "enqueue", "drain"], default="all", help=argparse.SUPPRESS)
    return parser.parse_args()


def environment(folder: Path, options: argparse.Namespace) -> dict[str, str]:
    env = {**os.environ, "BENCH_FOLDER": str(folder), "BENCH_BACKEND": options.backend, "PYTHONPATH": str(HERE)}
    if options.full:
        env["BENCH_FULL"] = "1"
    if options.fsync_us:
        shim = folder.parent / "slow_fsync.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, HERE / "slow_fsync.c", "-ldl"], check=True)
        env |= {"LD_PRELOAD": str(shim), "SLOW_FSYNC_US": str(options.fsync_us)}
    return env


async def burn() -> None:
    while True:
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass
        await asyncio.sleep(0)


async def enqueue(count: int) -> float:
    from subject import app, noop

    await app.connect()
    start = time.perf_counter()
    await app.enqueue_many(noop, [(number,) for number in range(count)])
    return count / (time.perf_counter() - start)


async def drain(options: argparse.Namespace) -> float:
    from subject import app

    await app.connect()
    busy = asyncio.create_task(burn()) if options.busy else None
    start = time.perf_counter()
    await app.worker(burst=True, concurrency=options.concurrency).run()
    seconds = time.perf_counter() - start
    if busy is not None:
        busy.cancel()
    return seconds


async def phase(options: argparse.Namespace) -> dict[str, float]:
    from subject import app

    figures: dict[str, float] = {}
    async with app:
        if options.phase in {"all", "enqueue"}:
            figures["enqueue"] = await enqueue(options.tasks)
        if options.phase in {"all", "drain"}:
            figures["seconds"] = await drain(options)
            figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if options.phase == "all":
            stats = await app.stats()
            assert sum(queue.completed for queue in stats) == options.tasks, stats
            figures["drain"] = options.tasks / figures["seconds"]
    return figures


def run_phase(options: argparse.Namespace, env: dict[str, str], name: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, __file__, "--phase", name, "--json", "--backend", options.backend]
    arguments += ["--tasks", str(options.tasks), "--concurrency", str(options.concurrency)]
    return subprocess.Popen(
        [*arguments, *(["--busy"] if options.busy else [])], env=env, stdout=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> dict[str, float]:
    out, _ = process.communicate()
    assert process.returncode == 0, out
    return json.loads(out)


def once(options: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "store"
        folder.mkdir()
        env = environment(folder, options)
        if options.processes == 1:
            return finish(run_phase(options, env, "all"))
        figures = finish(run_phase(options, env, "enqueue"))
        start = time.perf_counter()
        workers = [run_phase(options, env, "drain") for _ in range(options.processes)]
        for worker in workers:
            finish(worker)
        figures["drain, start-up included"] = options.tasks / (time.perf_counter() - start)
        return figures


def reference(options: argparse.Namespace) -> dict[str, float]:
    from reference import measure

    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), min(options.tasks, 50_000))


def main() -> None:
    options = parse()
    if options.phase != "all" or (options.json and "BENCH_FOLDER" in os.environ):
        print(json.dumps(asyncio.run(phase(options))))
        return
    with served(options):
        report(options)


def report(options: argparse.Namespace) -> None:
    runs = []
    for _ in range(options.repeats):
        before, figures, after = reference(options), once(options), reference(options)
        for name in ("enqueue", "drain"):
            bare = (before[name] + after[name]) / 2
            measured = next((value for key, value in figures.items() if key.startswith(name)), None)
            if measured is not None:
                figures[f"{name} / reference"] = measured / bare
        figures["reference drain"] = (before["drain"] + after["drain"]) / 2
        runs.append(figures)
    if options.json:
        print(json.dumps(runs))
        return
    for name in runs[0]:
        values = sorted(run[name] for run in runs)
        print(f"{name:28} median {values[len(values) // 2]:12,.2f}   range {values[0]:,.2f} to {values[-1]:,.2f}")


if __name__ == "__main__":
    main()
