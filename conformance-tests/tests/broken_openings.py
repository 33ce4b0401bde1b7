"""SQLite harnesses that open a store in a way that two processes, or one that is killed, do not survive."""

from __future__ import annotations

import atexit

from omniq.errors import StorageError
from omniq_memory.conformance import MemoryHarness
from omniq_sqlite.conformance import SQLiteHarness


class Hasty(SQLiteHarness):
    """Takes for granted that nobody else makes the same store."""

    async def open(self, namespace):
        self.folder(namespace).mkdir(exist_ok=False)
        return await super().open(namespace)


class Fragile(SQLiteHarness):
    """Refuses a store whose opening was interrupted."""

    async def open(self, namespace):
        mark = self.folder(namespace) / "opening"
        if mark.exists():
            raise StorageError("The store is half open.")
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        opened = await super().open(namespace)
        mark.unlink()
        return opened


class Noisy(MemoryHarness):
    """Complains at the end of the process about what was not closed."""

    async def open(self, namespace):
        if __name__ == "omniq_conformance_harness":  # in the child
            atexit.register(self.complain)
        return await super().open(namespace)

    def complain(self):
        raise StorageError("A handle was not closed.")
