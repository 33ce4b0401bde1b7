"""What may be left behind in this process, and waiting until it is gone."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from omniq_conformance.outcomes import DivergenceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["leaves_nothing", "remains"]

_PATIENCE = 5.0


def remains() -> dict[str, int]:
    """Count the open files, threads and asyncio tasks."""
    folder = Path("/proc/self/fd")
    files = len(list(folder.iterdir())) if folder.is_dir() else 0
    return {"files": files, "threads": threading.active_count(), "asyncio tasks": len(asyncio.all_tasks())}


async def leaves_nothing(work: Callable[[], Awaitable[None]], what: str) -> None:
    """Do the work, and check that there is no more than before.

    It is done again if there is: another store that is open may have begun to keep something meanwhile, such as a lock
    that the closed one had. It does so once, and a leak leaks again.

    Raises:
        DivergenceError: It left something behind both times.
    """
    for patience in (_PATIENCE / 10, _PATIENCE):
        before = remains()
        await work()
        if not (more := await _more_than(before, patience)):
            return
    msg = f"{what} left behind {more}."
    raise DivergenceError(msg)


async def _more_than(before: dict[str, int], patience: float) -> dict[str, int]:
    """Return by how much there is more, for as long as another thread may still be busy with closing."""
    deadline = time.monotonic() + patience
    while more := {kind: number - before[kind] for kind, number in remains().items() if number > before[kind]}:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.001)
    return more
