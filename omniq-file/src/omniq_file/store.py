"""The stores that this process has open; all handles on one share an engine."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from typing import TYPE_CHECKING

from omniq.errors import StoreClosedError
from omniq.storage.shared import finished
from omniq_file.engine import Engine
from omniq_file.keeper import Chore, Keeper

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.storage.capabilities import Capabilities
    from omniq_file.medium import Medium
    from omniq_file.options import FileOptions

__all__ = ["Store", "acquire"]

_MUCH = 1000
_open: dict[str, Store] = {}
_lock = threading.Lock()


class Store:
    """An engine and a keeper.

    Args:
        options: Which store.
        key: Its place among the open ones.

    Attributes:
        engine: Runs the operations.
    """

    def __init__(self, options: FileOptions, key: str) -> None:
        self._key = key
        self._users = 0
        self._options = options
        self._medium = _medium(options)
        signing_key = options.signing_key or os.environ.get("OMNIQ_SIGNING_KEY")
        self.engine = Engine(self._medium, signing_key, on_entry=self._note_entry, on_dropped=self._drop)
        self._keeper = Keeper(self._medium, self._chores, self.engine.stop)

    @property
    def capabilities(self) -> Capabilities:
        """What the open store offers."""
        return self.engine.opened.result().capabilities

    async def wait_until_open(self) -> None:
        """Return when the store is open.

        Raises:
            StorageError: It cannot be opened.
        """
        await asyncio.shield(asyncio.wrap_future(self.engine.opened))

    async def release(self) -> None:
        """Leave; the last one has everything written and ended, others wait for the files if there is little to do."""
        with _lock:
            self._users -= 1
            is_last = self._users == 0
            if is_last and _open.get(self._key) is self:
                del _open[self._key]
        if not is_last:
            if len(self.engine.view.dirty) > _MUCH:
                return
            await asyncio.shield(asyncio.wrap_future(self._keeper.flush()))
            return
        self._keeper.stop()
        if not self.engine.is_foreign:
            await finished(asyncio.wrap_future(self.engine.ended))

    def _start(self) -> None:
        self.engine.start()
        self._keeper.start()

    def _note_entry(self) -> None:
        self._keeper.note_entry()

    def _drop(self, blobs: Iterable[str]) -> None:
        self._keeper.drop(blobs)

    def _chores(self) -> list[Chore]:
        if self.engine.opened.exception() is not None:
            raise StoreClosedError(f"{self._medium.shown} could not be opened.")
        return self._medium.chores(self.engine)

    def _disown(self) -> None:
        """In the child of a fork."""
        self._medium.disown()


def acquire(options: FileOptions) -> Store:
    """Return the store of these options, opened by the first who asks; `Store.release` gives it back."""
    key = _key(options)
    with _lock:
        store = _open.get(key)
        if store is None:
            store = _open[key] = Store(options, key)
            store._start()  # noqa: SLF001 - its own module
        store._users += 1  # noqa: SLF001 - its own module
        return store


def _key(options: FileOptions) -> str:
    where = options.fsspec_uri or os.path.realpath(options.base_dir)
    rest = (options.serialization_format, options.fsync, options.signing_key, options.allow_network_fs)
    return json.dumps([where, *rest, options.poll_interval, options.storage_options], default=repr, sort_keys=True)


def _medium(options: FileOptions) -> Medium:
    if options.fsspec_uri is None:
        from omniq_file.local import LocalMedium

        return LocalMedium(options)
    from omniq_file.objects import ObjectMedium

    return ObjectMedium(options)


def _disown() -> None:
    """In the child of a fork: what is open belongs to the parent, and the lock may be held for ever."""
    global _lock  # noqa: PLW0603 - another thread of the parent may hold it
    _lock = threading.Lock()
    stores = list(_open.values())
    _open.clear()
    for store in stores:
        store._disown()  # noqa: SLF001 - its own module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
