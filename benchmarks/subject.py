"""The application that is measured."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniq import AsyncOmniQ
from omniq.models.config import OmniQConfig, StorageBackendConfig

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_app(backend: str, folder: Path, options: Mapping[str, Any]) -> AsyncOmniQ:
    """Make an application with all four roles on one store."""
    options = dict(options)
    own = {"sqlite": "bench.db", "file": "bench"}
    url = str(folder / own[backend]) if backend in own else os.environ.get("BENCH_URL")
    if backend == "nats":
        options["namespace"] = str(folder)
    if backend == "redis":
        options["key_prefix"] = str(folder)
    if backend == "postgres":
        options["schema"] = re.sub(r"\W", "_", str(folder))
    store = StorageBackendConfig(backend_type=backend, url=url, config=options)
    return AsyncOmniQ(config=OmniQConfig(task_queue_backend=store))


DURABLE = {"sqlite": {"synchronous": "FULL"}, "file": {"fsync": "always"}}
BACKEND = os.environ.get("BENCH_BACKEND", "sqlite")

app = make_app(
    BACKEND,
    Path(os.environ.get("BENCH_FOLDER", ".")),
    DURABLE[BACKEND] if os.environ.get("BENCH_FULL") else {},
)


@app.task()
async def noop(number: int) -> int:
    return number


@app.task()
async def stamp() -> float:
    """Tell when this started, on a clock that all processes of the host share."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
