"""Starts tasks at once where Python can."""

from __future__ import annotations

import sys
from asyncio import Task
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

__all__ = ["EAGERLY", "start_task"]

T = TypeVar("T")

EAGERLY: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
"""Keyword arguments for `asyncio.Task`: its first step is made by the constructor, where Python has that (3.12)."""


def start_task(coro: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> Task[T]:
    """Start a task; from Python 3.12 on its first step is made before this returns."""
    return Task(coro, loop=loop, **EAGERLY)
