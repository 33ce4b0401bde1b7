"""Memory that a result of 64 MiB takes beside itself, in a folder, on S3 and in a store of results alone.

    python benchmarks/large_results.py

Every figure is from a process of its own: the largest size that it had, less the size before, less the value.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq.storage.backend import BackendConfig
from omniq_file import plugin
from omniq_file.conformance import S3Harness

SIZE = 64 << 20
MIB = 1 << 20


def memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def forget_largest() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def one(url: str, operation: str) -> None:
    options = {}
    if url.startswith("s3"):
        storage = {"key": "k", "secret": "s", "endpoint_url": os.environ["BENCH_URL"]}
        options = {"storage_options": storage, "results_only": url.endswith("alone")}
    if url.startswith("dir"):
        options = {"storage_options": {"path": os.environ["BENCH_FOLDER"], "target_protocol": "file"}}
        url = "dir://"
    storage = plugin.omniq_create_result_storage(BackendConfig(backend_type="file", url=url, options=options))
    async with storage:
        await storage.get(["nothing"])
        value = b""
        if operation == "put":
            value = os.urandom(MIB) * (SIZE // MIB)
        before, start = memory("VmRSS"), time.perf_counter()
        forget_largest()
        if operation == "put":
            await storage.put([ResultRecord("t", 1, 1, TaskStatus.COMPLETED, value)])
        else:
            (found,) = await storage.get(["t"])
            assert found is not None
            assert found.value is not None
            before += len(found.value) / MIB
        print(f"{memory('VmHWM') - before:8,.0f} MiB {time.perf_counter() - start:8.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("operation", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.url:
        asyncio.run(one(options.url, options.operation))
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(S3Harness())
        env = {**os.environ, "BENCH_URL": str(server.url), "BENCH_FOLDER": f"{folder}/dir"}
        for url in (f"{folder}/local", "s3://omniq-conformance/log", "s3://omniq-conformance/alone", "dir"):
            for operation in ("put", "get"):
                print(f"{url.replace(folder, ''):32} {operation}", end="", flush=True)
                subprocess.run([sys.executable, __file__, url, operation], env=env, check=True)


if __name__ == "__main__":
    main()
