"""A store in a folder of this host."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from omniq.errors import StorageError, StoreFormatError
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq.storage.filesystem import network_filesystem
from omniq_file.bells import WORK, Bells
from omniq_file.descriptor import NAME, Descriptor
from omniq_file.failures import mapping
from omniq_file.locks import FileLock
from omniq_file.medium import Medium, Opened
from omniq_file.projection import Projection
from omniq_file.segments import Segments, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from omniq_file.engine import Engine
    from omniq_file.formats import Format
    from omniq_file.keeper import Chore
    from omniq_file.options import FileOptions

__all__ = ["LocalMedium"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
SAFETY_NET = 0.5
"""Seconds after which a waiter looks at the log although no bell has rung."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.005
"""Seconds; then a process waits for the lock in the system's queue, where nobody overtakes it."""


class LocalMedium(Medium):
    """Segment files that one process at a time appends to, under a lock of the system.

    Args:
        options: Which folder, and how careful.

    Attributes:
        root: The folder.
        folder: What counts in it; the rest is for people.
        segments: The log.
    """

    is_projected = True

    def __init__(self, options: FileOptions) -> None:
        self._options = options
        self.root = Path(os.path.abspath(options.base_dir))  # noqa: PTH100 - Path.absolute keeps `..`
        self.folder = self.root / "store"
        self._blobs = self.folder / "blobs"
        self._sync = options.fsync == "always"
        self.segments = Segments(self.folder, sync=self._sync, sync_ever=options.fsync != "never")
        self._bells = Bells(self.folder / "wake")
        self._lock: FileLock | None = None

    @property
    def position(self) -> int:  # type: ignore[override] # the segments count
        """The number of the next entry."""
        return self.segments.position

    @property
    def shown(self) -> Path:
        return self.root

    @property
    def patience(self) -> float:
        return SAFETY_NET

    def time(self) -> int:
        return time.time_ns() // 1_000_000

    # Opening and closing

    def open(self) -> Opened:
        with mapping(f"Opening {self.root}"):
            try:
                return self._open()
            except BaseException:
                self.close()
                raise

    def _open(self) -> Opened:
        kind = network_filesystem(self.root)
        if kind is not None and not self._options.allow_network_fs:
            raise StorageError(
                f"{self.root} is on a network file system ({kind}), where file locks are unreliable and tasks could "
                "run twice. Use a local disk, an object store with fsspec_uri, or a server backend; or set "
                "allow_network_fs."
            )
        descriptor = self._descriptor()
        descriptor.check(self._options.serialization_format, self.root)
        for folder in (self.folder, self._blobs, self.folder / "wake"):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = FileLock(self.folder / "lock")
        with self._lock.hold():
            self.segments.prepare()
        return Opened(capabilities=self._capabilities(descriptor), serialization_format=descriptor.serialization_format)

    def _descriptor(self) -> Descriptor:
        """Read the description of the store, or make a new store."""
        path = self.root / NAME
        with contextlib.suppress(FileNotFoundError):
            return Descriptor.read(path.read_bytes(), path)
        if self.folder.exists() and any(self.folder.iterdir()):
            raise StoreFormatError(f"{path} is missing, but {self.folder} is there. Restore it from a backup.")
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Descriptor.make(self._options.serialization_format)
        temporary = self.root / f".{secrets.token_hex(8)}.tmp"
        self._write(temporary, made.dump())
        try:
            with contextlib.suppress(FileExistsError):  # another process was first
                os.link(temporary, path)
        finally:
            temporary.unlink()
        if self._sync:
            sync_folder(self.root)
        return Descriptor.read(path.read_bytes(), path)

    def _capabilities(self, descriptor: Descriptor) -> Capabilities:
        return Capabilities(
            durability=Durability.OS_CRASH if self._sync else Durability.PROCESS_CRASH,
            scope=Scope.HOST,
            push=self._bells.hang(WORK) is not None,
            transaction_domain=f"file:{descriptor.id}",
            max_wait_ms=int(SAFETY_NET * 1000),
            server_version=f"files, format {descriptor.format}, {descriptor.serialization_format}",
        )

    def close(self) -> None:
        self._bells.take_down()
        self.segments.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def disown(self) -> None:
        """In the child of a fork: close what would keep the parent's lock if the parent died."""
        with contextlib.suppress(OSError):
            if self._lock is not None:
                self._lock.close()
            self.segments.close()

    # The log

    @contextlib.contextmanager
    def exclusive(self, meanwhile: Callable[[], bool]) -> Iterator[bool]:
        if self._lock is None:
            raise StorageError(f"{self.root} is not open.")
        self._acquire(self._lock, meanwhile)
        try:
            yield True
        finally:
            self._lock.release()

    def _acquire(self, lock: FileLock, meanwhile: Callable[[], bool]) -> None:
        """Wait for the lock: reading, so that little is left to read under it; at last in the system's queue."""
        pause = _FIRST_PAUSE
        while not lock.acquire_now():
            if meanwhile():
                continue
            if pause > _LONGEST_PAUSE:
                lock.acquire()
                return
            time.sleep(pause)
            pause *= 2

    def restore(self) -> Iterator[bytes]:
        yield from self.segments.restore()

    def read(self, *, exclusive: bool) -> list[bytes]:
        return self.segments.read(exclusive=exclusive)

    def append(self, payload: bytes) -> None:
        self.segments.append(payload)

    @property
    def is_doubtful(self) -> bool:
        return self.segments.is_doubtful

    def renew(self, pages: Iterable[bytes]) -> None:
        self.segments.renew(pages)

    # Blobs

    def write_blobs(self, blobs: Sequence[tuple[str, bytes]]) -> None:
        written: list[Path] = []
        with mapping(f"Writing to {self._blobs}"):
            try:
                for name, data in blobs:
                    path = self.blob(name)
                    path.parent.mkdir(mode=0o700, exist_ok=True)
                    written.append(path)
                    self._write(path, data)
                if self._sync:
                    for folder in {path.parent for path in written}:
                        sync_folder(folder)
            except BaseException:
                for path in written:
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)
                raise

    def read_blobs(self, names: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = []
        for name in names:
            try:
                found.append(self.blob(name).read_bytes())
            except OSError:
                found.append(None)
        return found

    def remove_blobs(self, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                self.blob(name).unlink(missing_ok=True)

    def blob(self, name: str) -> Path:
        """Return the path of a blob.

        Raises:
            StoreFormatError: No blob is called so.
        """
        if not (name.isascii() and name.isalnum()):
            raise StoreFormatError(f"{name!r} is not the name of a blob.")
        return self._blobs / name[:2] / name

    def _write(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if self._sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def chores(self, engine: Engine) -> list[Chore]:
        from omniq_file.chores import Compacting, Projecting, Syncing

        projecting = Projecting(engine, self.projection(engine.format))
        syncing = [Syncing(engine, self)] if self._options.fsync == "batch" else []
        return [projecting, *syncing, Compacting(engine, self, projecting)]

    def projection(self, form: Format) -> Projection:
        """Return the files for people."""
        return Projection(self.root, form.ending, form.dump if form.name == "msgpack" else None)

    # Waking

    def wake(self, kinds: str) -> None:
        self._bells.ring(kinds)

    def listen(self, kind: str) -> int | None:
        return self._bells.hang(kind)

    def heard(self) -> None:
        self._bells.drain()
