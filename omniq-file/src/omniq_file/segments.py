"""The log of a local store: segment files of records, and checkpoints that make older segments needless."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from omniq.errors import OutcomeUnknownError, StorageError, StoreFormatError
from omniq_file.framing import HEADER, frame, scan
from omniq_file.medium import LaggingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Segments"]

_CHUNK = 1 << 22
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class Segments:
    """Reads and writes the files of `log/` and `checkpoints/`.

    A segment is called after the number of its first entry. Its last record is empty and says that the log goes on in
    the segment that is called after the next number.

    Args:
        folder: With the two folders in it.
        sync: Whether every append waits for the disk.
        sync_ever: Whether at least the end of a segment does.

    Attributes:
        position: The number of the next entry.
        descriptor: Of the segment in use.
        size: How many bytes of it were read or written.
        is_doubtful: Whether the disk failed to confirm what was written, so that nothing later in this segment counts
            as confirmed either.
    """

    def __init__(self, folder: Path, *, sync: bool, sync_ever: bool) -> None:
        self._log = folder / "log"
        self._checkpoints = folder / "checkpoints"
        self._sync = sync
        self._sync_ever = sync_ever
        self.position = 1
        self.descriptor = -1
        self.size = 0
        self.is_doubtful = False

    def prepare(self) -> None:
        """Make what a new store has; only under the lock."""
        for folder in (self._log, self._checkpoints):
            folder.mkdir(mode=0o700, exist_ok=True)
        if not self.checkpoints() and not self.segments():
            self.make(1)

    def close(self) -> None:
        """Close the segment."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def segments(self) -> list[int]:
        """Return the numbers of the segments, in order."""
        return _numbers(self._log, ".log")

    def checkpoints(self) -> list[int]:
        """Return the numbers of the checkpoints, in order."""
        return _numbers(self._checkpoints, ".ckpt")

    def segment(self, number: int) -> Path:
        """Return the path of a segment."""
        return self._log / f"{number:016d}.log"

    def checkpoint(self, number: int) -> Path:
        """Return the path of a checkpoint."""
        return self._checkpoints / f"{number:016d}.ckpt"

    # Reading

    def restore(self) -> Iterator[bytes]:
        """Yield the pages of the newest whole checkpoint, and go to the entries behind it."""
        found = self.checkpoints()
        number = found[-1] if found else 1
        if found:
            yield from self.pages(number)
        self.position = number
        self._open(number)

    def pages(self, number: int) -> Iterator[bytes]:
        """Yield the pages of a checkpoint.

        Raises:
            LaggingError: It is not there any more.
            StoreFormatError: It is damaged.
        """
        try:
            data = self.checkpoint(number).read_bytes()
        except FileNotFoundError:
            raise LaggingError from None
        scanned = scan(data)
        if scanned.size != len(data) or not scanned.payloads or scanned.payloads[-1]:
            raise StoreFormatError(
                f"{self.checkpoint(number)} is damaged. `omniq fsck` tells whether the store can do without it."
            )
        yield from scanned.payloads[:-1]

    def history(self, number: int) -> Iterator[bytes]:
        """Yield the pages of the newest checkpoint before an entry, and the entries between; no entry may be removed.

        Raises:
            StoreFormatError: The log is damaged.
        """
        older = [each for each in self.checkpoints() if each <= number]
        start = older[-1] if older else 1
        if older:
            yield from self.pages(start)
        for first in self.segments():
            if start <= first < number:
                path = self.segment(first)
                data = path.read_bytes()
                scanned = scan(data)
                if scanned.size != len(data):
                    raise StoreFormatError(f"{path} is damaged behind byte {scanned.size}. `omniq fsck` tells more.")
                yield from filter(None, scanned.payloads)

    def checkpoint_size(self) -> int:
        """Return how large the newest checkpoint is."""
        found = self.checkpoints()
        try:
            return self.checkpoint(found[-1]).stat().st_size if found else 0
        except FileNotFoundError:
            return 0

    def read(self, *, exclusive: bool) -> list[bytes]:
        """Return new entries; what a process left half written when it died is removed by the next one that writes."""
        found: list[bytes] = []
        while True:
            data = self._rest()
            if not data:
                return found
            scanned = scan(data)
            self.size += scanned.size
            if not scanned.payloads or scanned.payloads[-1]:
                found += scanned.payloads
                self.position += len(scanned.payloads)
                if scanned.size < len(data):
                    self._leave_out(data[scanned.size :], exclusive=exclusive, damaged=scanned.is_damaged)
                return found
            found += scanned.payloads[:-1]
            self.position += len(scanned.payloads) - 1
            self._open(self.position)

    def _rest(self) -> bytes:
        data = os.pread(self.descriptor, _CHUNK, self.size)
        if len(data) < _CHUNK:
            return data
        parts, offset = [data], self.size + len(data)
        while data := os.pread(self.descriptor, _CHUNK, offset):
            parts.append(data)
            offset += len(data)
        return b"".join(parts)

    def _leave_out(self, rest: bytes, *, exclusive: bool, damaged: bool) -> None:
        if damaged and exclusive:
            raise StoreFormatError(
                f"The log is damaged behind entry {self.position - 1}: {rest[:40]!r} is followed by whole records. "
                "Nothing is written before `omniq fsck` has repaired it."
            )
        if exclusive:
            os.ftruncate(self.descriptor, self.size)

    def _open(self, number: int) -> None:
        try:
            descriptor = os.open(self.segment(number), _FLAGS)
        except FileNotFoundError:
            raise LaggingError from None
        self.close()
        self.descriptor, self.size = descriptor, 0

    # Writing, under the lock

    def append(self, payload: bytes) -> None:
        """Append an entry."""
        data = frame(payload)
        try:
            _write_all(self.descriptor, data, self.size)
        except BaseException:
            with contextlib.suppress(OSError):  # or whoever has the lock next does it
                os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(data)
        self.position += 1
        if self._sync:
            try:
                os.fdatasync(self.descriptor)
            except OSError as error:
                self.is_doubtful = True
                raise OutcomeUnknownError(
                    f"The disk did not confirm entry {self.position - 1} of the log: {error}. It is in the log, but "
                    "may be lost if the system crashes."
                ) from error

    def rotate(self) -> int:
        """Go on in a new segment, and return its number."""
        number = self.position
        if self.size == 0:
            return number  # it has just begun
        self.make(number)
        if self._sync_ever:
            os.fdatasync(self.descriptor)
        data = frame(b"")
        try:
            _write_all(self.descriptor, data, self.size)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, self.size)
            raise
        if self._sync:
            os.fdatasync(self.descriptor)
        self._open(number)
        return number

    def renew(self, pages: Iterable[bytes]) -> None:
        """Go on in a new segment, behind a checkpoint of all that is in this one, which the disk did not confirm."""
        number = self.position
        self.make(number)
        self.write_checkpoint(number, pages)
        _write_all(self.descriptor, frame(b""), self.size)
        self._open(number)
        self.is_doubtful = False

    def write_checkpoint(self, number: int, pages: Iterable[bytes]) -> int:
        """Write the state before an entry, and return the size; then what it makes needless may be removed."""
        temporary = self._checkpoints / f"{number:016d}.{os.getpid()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = 0
            try:
                for page in pages:
                    size += _write_all(descriptor, frame(page), size)
                size += _write_all(descriptor, frame(b""), size)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, self.checkpoint(number))  # noqa: PTH104 - one system call
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self._checkpoints)
        return size

    def remove_before(self, number: int) -> int:
        """Remove segments and checkpoints that a checkpoint makes needless, and return how many."""
        needless = [self.segment(each) for each in self.segments() if each < number]
        needless += [self.checkpoint(each) for each in self.checkpoints() if each < number]
        for path in needless:
            path.unlink(missing_ok=True)
        return len(needless)

    def make(self, number: int) -> None:
        """Make an empty segment; one of this name that nothing leads to was left by a process that died."""
        descriptor = os.open(self.segment(number), _FLAGS | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if self._sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if self._sync:
            sync_folder(self._log)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _numbers(folder: Path, ending: str) -> list[int]:
    names = os.listdir(folder)  # noqa: PTH208 - a Path for each name costs more than the listing
    stems = (name.removesuffix(ending) for name in names if name.endswith(ending))
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdecimal())


def _write_all(descriptor: int, data: bytes, offset: int) -> int:
    """Write all of the data at an offset, and return its size."""
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        more = os.pwrite(descriptor, data[written:], offset + written)
        if not more:
            raise StorageError("The file system took none of what was to be written.")
        written += more
    return written


assert len(frame(b"")) == HEADER + 1  # noqa: S101 - the two modules agree
