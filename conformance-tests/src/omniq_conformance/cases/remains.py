"""What may be left behind in this process, and waiting until it is gone."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from omniq_conformance.outcomes import DivergenceError

__all__ = ["check_remains", "remains", "remains_at_rest"]

_PATIENCE = 5.0
_REST = 0.2


def remains() -> dict[str, int]:
    """Count the open files, threads and asyncio tasks."""
    folder = Path("/proc/self/fd")
    files = len(list(folder.iterdir())) if folder.is_dir() else 0
    return {"files": files, "threads": threading.active_count(), "asyncio tasks": len(asyncio.all_tasks())}


async def remains_at_rest() -> dict[str, int]:
    """Count them once what is being opened is open: when the numbers have stayed the same for a while."""
    deadline = time.monotonic() + _PATIENCE
    found, since = remains(), time.monotonic()
    while time.monotonic() < min(since + _REST, deadline):
        await asyncio.sleep(_REST / 20)
        if (now := remains()) != found:
            found, since = now, time.monotonic()
    return found


async def check_remains(before: dict[str, int], what: str) -> None:
    """Wait until there is no more than before, as another thread may still be busy with closing.

    Raises:
        DivergenceError: It stays.
    """
    deadline = time.monotonic() + _PATIENCE
    while more := {kind: number - before[kind] for kind, number in remains().items() if number > before[kind]}:
        if time.monotonic() > deadline:
            msg = f"{what} left behind {more}."
            raise DivergenceError(msg)
        await asyncio.sleep(0.001)
