"""What all handles on one memory store share."""

from __future__ import annotations

import itertools
import os
import re
import threading
import weakref
from typing import TYPE_CHECKING

from omniq.clock import SystemClock
from omniq.errors import ConfigError
from omniq_memory.event_log import EventLog
from omniq_memory.result_table import ResultTable
from omniq_memory.task_table import TaskTable

if TYPE_CHECKING:
    from omniq.clock import Clock
    from omniq.models.schedule import Schedule

__all__ = ["MemoryState", "state_for"]

_URL = re.compile(r"memory://([^/?#]*)")
_numbers = itertools.count(1)


class MemoryState:
    """One store.

    Attributes:
        lock: Held during every operation; nothing is awaited under it.
        clock: Tells the time when an operation is not given one.
        domain: Identifies the store among those of this process.
        foreign: Whether this is a copy that a fork made; no handle works on it.
    """

    def __init__(self, name: str | None = None) -> None:
        self.lock = threading.RLock()
        self.clock: Clock = SystemClock()
        self.domain = f"memory:#{next(_numbers)}" if name is None else f"memory://{name}"
        self.foreign = False
        self.log = EventLog()
        self.results = ResultTable()
        self.tasks = TaskTable()
        self.schedules: dict[str, Schedule] = {}
        _all_states.add(self)


_all_states: weakref.WeakSet[MemoryState] = weakref.WeakSet()
_named: dict[str, MemoryState] = {}
_named_lock = threading.Lock()


def state_for(url: str | None) -> MemoryState:
    """Return a new store for no name, and the process's store of that name for `memory://<name>`.

    Raises:
        ConfigError: It is another url.
    """
    match = _URL.fullmatch(url or "memory://")
    if match is None:
        raise ConfigError(
            f"url: {url!r} is not a memory url. Leave it out for a store of this configuration's own, or write "
            "'memory://<name>' for one that everything in this process shares by that name."
        )
    name = match[1]
    if not name:
        return MemoryState()
    with _named_lock:
        if name not in _named:
            _named[name] = MemoryState(name)
        return _named[name]


def _disown() -> None:
    """In the child of a fork: the copies belong to the parent, and their locks may be held for ever."""
    global _named_lock  # noqa: PLW0603 - another thread of the parent may hold it
    _named_lock = threading.Lock()
    _named.clear()
    for state in _all_states:
        state.foreign = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
