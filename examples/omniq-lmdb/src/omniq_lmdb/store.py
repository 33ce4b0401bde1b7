"""One LMDB file, opened once by a process and used by all its handles."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb

from omniq.errors import ConnectionLostError, OutcomeUnknownError, StorageError, StoreFormatError
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq_lmdb.codec import number, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from omniq_lmdb.options import LmdbOptions

__all__ = ["PAST", "Store", "Transaction", "acquire", "host_time", "release"]

T = TypeVar("T")

FORMAT: Final = b"1"
PAST: Final = b"\xff" * 64
"""Sorts after every key that goes on from the same beginning."""

_TABLES = (
    *("meta", "heads", "bodies", "ids", "ready", "leases", "expiring", "unique", "ended", "paused", "outbox", "owed"),
    *("results", "result_expiry", "events", "event_ids", "event_times", "task_events", "schedules"),
)
_MAX_KEY = 511
_MAX_ID = 480  # the next run of a series has 14 more
_MAX_PAYLOAD = 16 * 1024 * 1024
_MAX_WAIT_MS = 100


def host_time() -> int:
    """Return the host's time in milliseconds since the epoch; every process that can open the file shares it."""
    return time.time_ns() // 1_000_000


class Transaction:
    """One transaction: the tables at one moment, and in a write transaction what becomes of them."""

    def __init__(self, txn: lmdb.Transaction[bytes], tables: dict[str, lmdb._Database]) -> None:
        self._txn = txn
        self._tables = tables

    @property
    def snapshot(self) -> int:
        """The number of the last commit that a read transaction sees; `Store.commits` knows of it a little earlier."""
        return self._txn.id()

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return a value; None also for a key that no table can have."""
        return self._txn.get(key, db=self._tables[table]) if 0 < len(key) <= _MAX_KEY else None

    def put(self, table: str, key: bytes, value: bytes = b"") -> None:
        """Write a value."""
        self._txn.put(key, value, db=self._tables[table])

    def delete(self, table: str, key: bytes) -> bool:
        """Remove a key, and tell whether it was there."""
        return 0 < len(key) <= _MAX_KEY and self._txn.delete(key, db=self._tables[table])

    def scan(
        self, table: str, start: bytes = b"", stop: bytes = PAST, *, desc: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values with start <= key < stop, in order. Nothing is written meanwhile."""
        with self._txn.cursor(self._tables[table]) as cursor:
            if not desc:
                if cursor.set_range(start):
                    for key, value in cursor.iternext():
                        if key >= stop:
                            return
                        yield key, value
            elif cursor.prev() if cursor.set_range(stop) else cursor.last():
                for key, value in cursor.iterprev():
                    if key < start:
                        return
                    yield key, value

    def count(self, table: str) -> int:
        """Return how many keys a table has."""
        return int(self._txn.stat(self._tables[table])["entries"])

    def next(self, counter: str) -> int:
        """Count on from the last number of this counter, for ever."""
        value = self.last(counter) + 1
        self.put("meta", counter.encode(), number(value))
        return value

    def last(self, counter: str) -> int:
        """Return the last number of a counter."""
        stored = self.get("meta", counter.encode())
        return 0 if stored is None else number_of(stored)


class Store:
    """An open environment with one thread for reading and one for writing.

    Both hold a gate during each transaction; a fork waits for the gates, so that no transaction of the parent is under
    way in the child's copy, which can then be closed without touching the locks that the two processes share.

    Attributes:
        foreign: Whether this is the copy of a forked child.
    """

    def __init__(self, options: LmdbOptions) -> None:
        self.path = options.path.absolute()
        self.foreign = False
        self.users = 0
        self.gates = {True: threading.Lock(), False: threading.Lock()}  # taken in this order
        self._options = options
        self._is_broken = False
        self._env = _environment(self.path, options)
        self._tables = self._prepare()
        self._threads = {write: ThreadPoolExecutor(1, "omniq-lmdb") for write in self.gates}
        for thread in self._threads.values():
            thread.submit(int).result()  # starts it
        status = self.path.stat()
        self.capabilities = Capabilities(
            durability=Durability.OS_CRASH if options.sync else Durability.PROCESS_CRASH,
            scope=Scope.HOST,
            push=False,
            transaction_domain=f"lmdb:{status.st_dev}:{status.st_ino}",
            max_wait_ms=_MAX_WAIT_MS,
            max_payload_bytes=_MAX_PAYLOAD,
            max_id_bytes=_MAX_ID,
            server_version="LMDB {}.{}.{}".format(*lmdb.version()),
        )

    def thread(self, *, write: bool) -> ThreadPoolExecutor:
        """Return the thread in which `transact` has to be called."""
        return self._threads[write]

    def transact(self, run: Callable[[Transaction], T], *, write: bool) -> T:
        """Run a function in a transaction of its own; whatever it raises undoes all of it.

        Raises:
            OutcomeUnknownError: The commit failed.
        """
        if self._is_broken:
            self._mend() if write else self._threads[True].submit(self._mend).result()
        with self.gates[write]:
            try:
                txn = self._env.begin(write=write)
            except lmdb.Error as error:
                raise _mapped(error) from error
            try:
                answer = run(Transaction(txn, self._tables))
            except lmdb.Error as error:
                txn.abort()
                raise _mapped(error) from error
            except BaseException:
                txn.abort()
                raise
            try:
                txn.commit()
            except lmdb.Error as error:
                self._is_broken = True
                raise OutcomeUnknownError(f"LMDB could not commit: {error}. Check the disk, then try again.") from error
            return answer

    def commits(self) -> int:
        """Return the number of the last commit, by whichever process; cheap enough to poll.

        A commit is counted before transactions see it, so whoever waits compares this with what it saw (`snapshot`).
        """
        try:
            return self._env.info()["last_txnid"]
        except lmdb.Error:  # it is being mended
            return 0

    def close(self) -> None:
        """Let everything go, once what is under way has ended."""
        if not self.foreign:
            for thread in self._threads.values():
                thread.shutdown()
        self._env.close()

    def _mend(self) -> None:
        """Open the environment again, in the thread for writing: LMDB refuses everything once a commit has failed."""
        with self.gates[True], self.gates[False]:
            if self._is_broken:
                self._env.close()
                self._env = _environment(self.path, self._options)
                self._tables = self._prepare()
                self._is_broken = False

    def _prepare(self) -> dict[str, lmdb._Database]:
        """Check the format and open the tables, which a new store does not have yet."""
        try:
            with self._env.begin(write=True) as txn:
                tables = self._checked(txn)
            self._env.reader_check()  # what killed processes were reading would never be reused
        except BaseException as error:
            self._env.close()
            if isinstance(error, lmdb.Error):
                raise _cannot_open(self.path, error) from error
            raise
        return tables

    def _checked(self, txn: lmdb.Transaction[bytes]) -> dict[str, lmdb._Database]:
        found = txn.stat()["entries"] > 0
        meta = self._env.open_db(b"meta", txn=txn, create=not found) if not found or txn.get(b"meta") else None
        known = txn.get(b"format", db=meta) if meta is not None else None
        if found and known != FORMAT:
            raise StoreFormatError(
                f"{self.path} has the format {known!r}; this version of omniq-lmdb works with {FORMAT!r}. Update "
                "omniq-lmdb, or give OmniQ a file of its own."
            )
        tables = {name: self._env.open_db(name.encode(), txn=txn, create=not found) for name in _TABLES}
        if not found:
            txn.put(b"format", FORMAT, db=tables["meta"])
        return tables


_stores: dict[Path, Store] = {}
_lock = threading.Lock()


def acquire(options: LmdbOptions) -> Store:
    """Return the process's store on a file; LMDB forbids opening one twice. `release` it in the end."""
    with _lock:
        path = options.path.absolute()
        if path not in _stores:
            _stores[path] = Store(options)
        _stores[path].users += 1
        return _stores[path]


def release(store: Store) -> None:
    """Let a store go; the last user closes it."""
    with _lock:
        store.users -= 1
        if store.users == 0 and not store.foreign:
            del _stores[store.path]
            store.close()


def _environment(path: Path, options: LmdbOptions) -> lmdb.Environment:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return lmdb.open(
            str(path),
            map_size=options.map_size,
            subdir=False,
            sync=options.sync,
            metasync=options.sync,
            mode=0o600,
            max_dbs=len(_TABLES),
            max_spare_txns=0,  # a child that closes its copy would give the parent's idle ones away
        )
    except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError) as error:
        raise StoreFormatError(f"{path} is no LMDB file: {error}. Give OmniQ a file of its own.") from error
    except (lmdb.Error, OSError) as error:
        raise _cannot_open(path, error) from error


def _cannot_open(path: Path, error: Exception) -> ConnectionLostError:
    return ConnectionLostError(f"Cannot open {path}: {error}. Check the disk, the folder and its permissions.")


def _mapped(error: lmdb.Error) -> StorageError:
    if isinstance(error, lmdb.MapFullError):
        return StorageError(f"The store is full: {error}. Purge ended tasks, or open it with a larger map_size.")
    return StorageError(f"LMDB: {error}. Nothing was changed.")


def _before_fork() -> None:
    _lock.acquire()
    for store in _stores.values():
        for gate in store.gates.values():
            gate.acquire()


def _after_fork_in_parent() -> None:
    for store in _stores.values():
        for gate in store.gates.values():
            gate.release()
    _lock.release()


def _after_fork_in_child() -> None:
    for store in _stores.values():
        store.foreign = True
        store.close()
    _stores.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
