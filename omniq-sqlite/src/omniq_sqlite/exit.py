"""End the threads of stores that nobody closed when the program ends.

The interpreter waits for threads that are no daemons, and aiosqlite's is none. A loop that is run by hand may never
close what was opened in it, and the program would hang for ever.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omniq_sqlite.connection import Database

__all__ = ["end_with_interpreter"]

_open: weakref.WeakSet[Database] = weakref.WeakSet()
_watchers: dict[int, threading.Thread] = {}


def end_with_interpreter(database: Database) -> None:
    """Call `database.stop()` when the main thread has ended, if it still is open then."""
    _open.add(database)
    if os.getpid() not in _watchers:
        watcher = _watchers[os.getpid()] = threading.Thread(target=_watch, name="omniq-sqlite-exit", daemon=True)
        watcher.start()


def _watch() -> None:
    # Hooks of `atexit` would be too late: they run after the interpreter has waited for the threads.
    threading.main_thread().join()
    for database in list(_open):
        database.stop()
