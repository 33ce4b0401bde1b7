"""Check a local store, and repair it: log, checkpoints, blobs, and the files for people."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import attrs

from omniq.errors import OmniQError, StoreFormatError
from omniq_file.chores import filled_body, filled_result
from omniq_file.descriptor import NAME, Descriptor
from omniq_file.formats import make_format
from omniq_file.framing import salvage, scan
from omniq_file.local import LocalMedium
from omniq_file.locks import FileLock
from omniq_file.machine.transaction import checkpoint_pages, fold
from omniq_file.machine.view import View
from omniq_file.projection import FOLDERS, Projection
from omniq_file.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omniq_file.formats import Format
    from omniq_file.options import FileOptions

__all__ = ["Checkup", "Fault", "check"]

_YOUNG = 3600.0
"""Seconds for which an unknown blob may still be named by an entry to come."""
_PRIVATE = 0o077
_SHOWN = 5


@attrs.frozen
class Fault:
    """Something that is wrong.

    Attributes:
        text: What, in a sentence.
        repaired: Whether that has been set right.
        can_be: Whether it can be, without loss.
    """

    text: str
    repaired: bool
    can_be: bool = True


class Checkup:
    """One pass over a store that nobody changes meanwhile.

    Args:
        options: Which store.
        repair: Whether to set right what can be.

    Attributes:
        faults: What was found.
        facts: How much there is of what.
    """

    def __init__(self, options: FileOptions, *, repair: bool) -> None:
        self._medium = LocalMedium(options)
        self._options = options
        self._root = self._medium.root
        self._segments = Segments(self._medium.folder, sync=True, sync_ever=True)
        self._repair = repair
        self._is_lossy = False
        self._view = View()
        self._format: Format
        self.faults: list[Fault] = []
        self.facts: dict[str, int] = {}

    def run(self) -> None:
        """Look at everything, under the locks of the store.

        Raises:
            StoreFormatError: There is no store, or one of a newer version.
            ConfigError: It is pickled, and there is no signing key.
        """
        path = self._root / NAME
        try:
            descriptor = Descriptor.read(path.read_bytes(), path)
        except FileNotFoundError:
            raise StoreFormatError(f"{self._root} has no {NAME}, so there is no store in it.") from None
        key = self._options.signing_key or os.environ.get("OMNIQ_SIGNING_KEY")
        self._format = make_format(descriptor.serialization_format, key)
        with contextlib.ExitStack() as stack:
            for name in ("compaction.lock", "projection.lock", "lock"):
                lock = FileLock(self._medium.folder / name)
                stack.callback(lock.close)
                lock.acquire()
            self._check_log()
            self._check_blobs()
            self._check_litter()
            self._check_projection()
            self._check_modes()

    def _found(self, text: str, *, can_be: bool = True, repaired: bool | None = None) -> None:
        done = self._repair and can_be if repaired is None else repaired
        self.faults.append(Fault(text, done, can_be))

    # The log

    def _check_log(self) -> None:
        start = self._checkpoint()
        position = start
        fits = True
        for number in self._segments.segments():
            if number < start:
                self._remove(self._segments.segment(number), "is a segment that a checkpoint made needless")
            elif number in {position, start}:
                position, fits = self._segment(number, fits=fits)
            else:
                self._found(f"{self._segments.segment(number)} does not follow entry {position - 1}", can_be=False)
                fits, self._is_lossy = False, True
                position, fits = self._segment(number, fits=fits)
        self.facts |= {"entries since the checkpoint": position - start, "tasks": len(self._view.tasks)}
        self.facts |= {"results": len(self._view.results.by_id), "events": sum(1 for _ in self._view.events)}
        self.facts |= {"schedules": len(self._view.schedules)}
        if self._is_lossy and self._repair:
            self._begin_anew(position)

    def _checkpoint(self) -> int:
        """Fold the newest whole checkpoint, and return the number of the entry behind it."""
        segments = self._segments.segments()
        for number in reversed(self._segments.checkpoints()):
            path = self._segments.checkpoint(number)
            try:
                for page in self._segments.pages(number):
                    fold(self._view, self._format.load(page)["do"], self._format)
            except (OmniQError, KeyError, TypeError, ValueError) as error:
                older = [each for each in self._segments.checkpoints() if each < number]
                can_be = bool(segments) and segments[0] <= (older[-1] if older else 1)
                self._found(f"{path} is damaged: {error}", can_be=can_be)
                self._is_lossy = self._is_lossy or not can_be
                self._view = View()
                if self._repair:
                    path.rename(path.with_suffix(".damaged"))
                continue
            return number
        return 1 if 1 in segments or not segments else segments[0]

    def _segment(self, number: int, *, fits: bool) -> tuple[int, bool]:
        """Fold a segment; return the number of the entry behind it, and whether nothing is missing."""
        path = self._segments.segment(number)
        data = path.read_bytes()
        scanned = scan(data)
        payloads = scanned.payloads
        if scanned.size < len(data):
            rest = len(data) - scanned.size
            if scanned.is_damaged:
                payloads = list(salvage(data))
                lost = f"{path} is damaged at byte {scanned.size}: what stood there is lost"
                self._found(lost, can_be=False)
                self._is_lossy, fits = True, False
                if self._repair:
                    kept = path.with_suffix(".damaged")
                    kept.touch(mode=0o600)
                    kept.write_bytes(data)
            else:
                self._found(f"{path} ends in {rest} bytes of an entry that was never acknowledged")
                if self._repair:
                    os.truncate(path, scanned.size)
        position = number
        for payload in filter(None, payloads):
            position = self._fold(payload, path, position, fits=fits)
        return position, fits

    def _fold(self, payload: bytes, path: Path, position: int, *, fits: bool) -> int:
        try:
            entry: dict[str, Any] = self._format.load(payload)
            number = int(entry["n"])
        except (OmniQError, KeyError, TypeError, ValueError) as error:
            self._found(f"{path}: an entry cannot be read: {error}", can_be=False)
            self._is_lossy = True
            return position + 1
        if number != position and fits:
            self._found(f"{path}: entry {position} is missing", can_be=False)
            self._is_lossy = True
        for effect in entry["do"]:
            try:
                fold(self._view, [effect], self._format)
            except (OmniQError, KeyError, TypeError, ValueError, IndexError) as error:
                self._found(f"{path}: entry {number} does not fit to those before: {effect[0]} {error!r}", can_be=False)
                self._is_lossy = True
        self._view.clock = max(self._view.clock, entry["at"])
        return number + 1

    def _begin_anew(self, position: int) -> None:
        """Make a checkpoint of what could be read, and an empty segment behind it."""
        self._segments.write_checkpoint(position, checkpoint_pages(self._view, position, self._format))
        self._segments.make(position)
        self._segments.remove_before(position)
        self._found(f"what could be read is in a new checkpoint, {position}", repaired=True)

    # The rest

    def _check_blobs(self) -> None:
        there = {path.name: path for path in (self._medium.folder / "blobs").glob("*/*")}
        known = self._view.blobs
        self.facts["blobs"] = len(there)
        for name in sorted(known.keys() - there.keys()):
            self._found(f"the blob {name} is missing, which {known[name]} records need", can_be=False)
        for name in sorted(there.keys() - known.keys()):
            if time.time() - there[name].stat().st_mtime > _YOUNG:
                self._remove(there[name], "is a blob that no record needs")

    def _check_litter(self) -> None:
        folders = (self._root, self._medium.folder, self._medium.folder / "checkpoints")
        for path in [path for folder in folders for path in folder.glob("*.tmp")]:
            self._remove(path, "was left by a process that died")

    def _check_projection(self) -> None:
        projection = self._projection()
        try:
            expected = dict(self._expected(projection))
            wrong = [path for path, content in expected.items() if self._content(path) != content]
            lonely = self._view.results.by_id.keys() - self._view.tasks.keys()
            states = {task.id: task.state for task in self._view.tasks.values()}
            strays = projection.strays(states, lonely, remove=self._repair)
            if wrong or strays:
                shown = ", ".join([*wrong, *strays][:_SHOWN])
                self._found(f"{len(wrong)} files for people are missing or old, {len(strays)} are left over: {shown}")
            if self._repair:
                projection.begin()
                for task_id in [*self._view.tasks, *sorted(lonely)]:
                    if wrong:
                        projection.show(*self._shown(task_id))
                projection.end(self._position())
        finally:
            projection.close()

    def _projection(self) -> Projection:
        return self._medium.projection(self._format)

    def _position(self) -> int:
        for _ in self._segments.restore():
            pass
        self._segments.read(exclusive=False)
        self._segments.close()
        return self._segments.position

    def _shown(self, task_id: str) -> Any:
        task, result = self._view.tasks.get(task_id), self._view.results.by_id.get(task_id)
        if task is not None:
            task = attrs.evolve(task, body=filled_body(self._medium, self._format, task.body))
        return task_id, task, None if result is None else filled_result(self._medium, self._format, result)

    def _expected(self, projection: Projection) -> Iterator[tuple[str, bytes]]:
        for task_id in self._view.tasks:
            _, task, result = self._shown(task_id)
            yield from projection.expected([(task, result)]).items()

    def _content(self, path: str) -> bytes | None:
        found = self._root / path
        try:
            if path.partition("/")[0] in FOLDERS.values():
                return b"->" + os.fsencode(found.readlink())
            return None if found.is_symlink() else found.read_bytes()
        except OSError:
            return None

    def _check_modes(self) -> None:
        for path in [self._root, *self._root.rglob("*")]:
            if path.is_symlink() or not path.stat().st_mode & _PRIVATE:
                continue
            self._found(f"{path} is open to other users")
            if self._repair:
                path.chmod(path.stat().st_mode & ~_PRIVATE)

    def _remove(self, path: Path, why: str) -> None:
        self._found(f"{path} {why}")
        if self._repair:
            path.unlink(missing_ok=True)


def check(options: FileOptions, *, repair: bool) -> Checkup:
    """Check a store.

    Args:
        options: Which store.
        repair: Whether to set right what can be.
    """
    checkup = Checkup(options, repair=repair)
    checkup.run()
    return checkup
