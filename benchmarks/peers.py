"""OmniQ and other task queues on the same store, in one run.

    uv run python benchmarks/peers.py --tasks 20000
    uv run python benchmarks/peers.py --backend redis

On SQLite and in a folder of files that is huey; on Valkey or Redis it is huey, dramatiq, arq and taskiq; on
PostgreSQL it is PgQueuer and procrastinate. Each one runs in an environment of its own, which uv makes, so its
dependencies need not suit those of the others. `peers/` has how each is set up and what it promises. They enqueue in
batches where they can, otherwise one task at a time (those with asyncio, 100 calls at once); a task counts when its
result is stored, or its end where there are no results. Besides that, OmniQ stores three events of each, and grants
no run without a lease.
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
PEERS = {
    "sqlite": ["huey"],
    "file": ["huey"],
    "redis": ["huey", "dramatiq", "arq", "taskiq"],
    "postgres": ["pgqueuer", "procrastinate"],
}


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
                store = place(options.backend, folder, number)
                figures[peer] = measure(peer, store, options.tasks)
                flush(options.backend, store)
        for name, figure in figures.items():
            if figure is not None:
                ratio = figures["omniq"]["drain"] / figure["drain"]
                enqueued, drained = figure["enqueue"], figure["drain"]
                print(
                    f"{name:8} enqueue {enqueued:8,.0f}/s   drain {drained:8,.0f}/s   omniq's drain / its {ratio:6.2f}"
                )


def place(backend: str, folder: str, number: int) -> str:
    """Return an empty database; those of one server, so that nobody sees what is another's."""
    if backend == "sqlite":
        return f"{folder}/peer.db"
    if backend == "file":
        return f"{folder}/"
    url = os.environ["BENCH_URL"].rpartition("/")[0]
    if backend == "redis":
        return f"{url}/{number}"
    administer(f"CREATE DATABASE peer_{number}")
    return f"{url}/peer_{number}"


def flush(backend: str, store: str) -> None:
    if backend == "redis":
        import redis

        with redis.Redis.from_url(store) as client:
            client.flushdb()
    elif backend == "postgres":
        administer(f"DROP DATABASE {store.rpartition('/')[2]} WITH (FORCE)")


def administer(statement: str) -> None:
    import psycopg

    with psycopg.connect(os.environ["BENCH_URL"], autocommit=True) as connection:
        connection.execute(statement)


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
