"""OmniQ and other task queues on the same store, in one run.

    uv run python benchmarks/peers.py --tasks 20000
    uv run python benchmarks/peers.py --backend redis

On SQLite that is huey; on Valkey or Redis it is huey, dramatiq, arq and taskiq. Each one runs in an environment of its
own, which uv makes, so its dependencies need not suit those of the others. `peers/` has how each is set up and what it
promises. They enqueue one task at a time (those with asyncio, 100 calls at once), because they have nothing else; a
task counts when its result is stored. Besides that, OmniQ stores three events of each, and grants no run without a
lease.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import throughput
from server import add_options, served

HERE = Path(__file__).parent
PEERS = {"sqlite": ["huey"], "redis": ["huey", "dramatiq", "arq", "taskiq"]}


def measure(peer: str, store: str, count: int) -> dict[str, float] | None:
    """Run a peer; None, with a message, if it does not work here."""
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    command = [uv, "run", "--quiet", "--no-project", "--script", HERE / "peers" / f"peer_{peer}.py", store, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{peer:8} does not work here: {done.stderr.strip().rpartition(chr(10))[2]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def compare(options: argparse.Namespace) -> None:
    ours = SimpleNamespace(
        backend=options.backend,
        tasks=options.tasks,
        concurrency=100,
        processes=1,
        busy=False,
        full=False,
        fsync_us=0,
    )
    for _ in range(options.repeats):
        figures = {"omniq": throughput.once(ours)}
        for number, peer in enumerate(options.peer or PEERS[options.backend], 1):
            with tempfile.TemporaryDirectory() as folder:
                # Databases of one server, so that nobody sees the keys of another.
                url = os.environ.get("BENCH_URL", "").removesuffix("/0")
                store = f"{folder}/peer.db" if options.backend == "sqlite" else f"{url}/{number}"
                figures[peer] = measure(peer, store, options.tasks)
                flush(options.backend, store)
        for name, figure in figures.items():
            if figure is not None:
                ratio = figures["omniq"]["drain"] / figure["drain"]
                enqueued, drained = figure["enqueue"], figure["drain"]
                print(
                    f"{name:8} enqueue {enqueued:8,.0f}/s   drain {drained:8,.0f}/s   omniq's drain / its {ratio:6.2f}"
                )


def flush(backend: str, store: str) -> None:
    if backend == "redis":
        import redis

        with redis.Redis.from_url(store) as client:
            client.flushdb()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="sqlite", choices=sorted(PEERS))
    parser.add_argument("--peer", action="append", help="only this one; may be repeated")
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    add_options(parser)
    options = parser.parse_args()
    with served(options):
        compare(options)


if __name__ == "__main__":
    main()
