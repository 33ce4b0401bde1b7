"""What follows the log of a local store: files for people, the disk, checkpoints."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from omniq.errors import StoreFormatError
from omniq_file.locks import FileLock
from omniq_file.machine.stored import UNREADABLE, StoredBody, StoredResult, copy_task
from omniq_file.machine.transaction import checkpoint_pages, fold
from omniq_file.machine.view import View

if TYPE_CHECKING:
    from omniq.models.record import TaskBody, TaskRecord
    from omniq.models.result import ResultRecord
    from omniq.models.status import TaskStatus
    from omniq_file.engine import Engine
    from omniq_file.formats import Format
    from omniq_file.local import LocalMedium
    from omniq_file.machine.transaction import Transaction
    from omniq_file.medium import Medium
    from omniq_file.projection import Projection
    from omniq_file.segments import Segments

__all__ = ["Compacting", "Projecting", "Syncing", "filled_body", "filled_result", "state_before"]

_SLICE = 200
_LARGEST = 64 * 1024
_SHARE = 5
"""So many times longer than it shows changes it lets others work, where tasks come without a pause."""
_SYNC = 1.0
_SMALLEST = 32 << 20
_GROWTH = 2

Shown = tuple[str, "TaskRecord | None", "ResultRecord | None"]


class Projecting:
    """Writes the files for people.

    Args:
        engine: Knows what there is.
        projection: The files.
    """

    def __init__(self, engine: Engine, projection: Projection) -> None:
        self._engine = engine
        self._projection = projection
        self._is_lost = False
        self.lock = projection.lock

    def close(self) -> None:
        """Let everything go."""
        self._projection.close()

    def run(self, *, closing: bool) -> float | None:
        """Show what is not shown yet; where tasks come without a pause, a part of it."""
        if not self._has_news():
            return None
        began = time.monotonic()
        with self.lock.hold():
            is_done = self.catch_up(hurried=not closing)
        return None if is_done else _SHARE * (time.monotonic() - began)

    def _has_news(self) -> bool:
        is_dirty, base = self._engine.ask(lambda tx: (bool(tx.view.dirty), self._engine.base))
        return is_dirty or self._is_lost or max(self._projection.reached(), 1) < base

    def catch_up(self, *, hurried: bool = False) -> bool:
        """Show what is not shown yet, and return whether that is everything; under the lock.

        Args:
            hurried: Whether to stop where the log goes on meanwhile.
        """
        reached = self._projection.begin()
        lost, self._is_lost = self._is_lost, True  # unless all of what follows succeeds
        if lost or max(reached, 1) < self._engine.ask(lambda _: self._engine.base):
            self._show_everything()
            is_done = True
        else:
            is_done = self._show_changes(reached, hurried=hurried)
        self._is_lost = False
        return is_done

    def _show_changes(self, reached: int, *, hurried: bool) -> bool:
        more = True
        while more:
            position, page, more = self._engine.ask(lambda tx: _dirty(self._engine, tx, reached))
            for shown in page:
                self._projection.show(*self._filled(shown))
            if more and hurried and self._engine.medium.position != position:
                return False
        if position > reached:
            self._projection.end(position)
        return True

    def _show_everything(self) -> list[str]:
        first, after, more = 0, "", True
        while more:
            position, page, more = self._engine.ask(lambda tx, after=after: _everything(self._engine, tx, after))  # type: ignore[misc]
            first = first or position
            for shown in page:
                self._projection.show(*self._filled(shown))
                after = shown[0]
        states, results = self._engine.ask(lambda tx: (_states(tx.view), _lonely(tx.view)))
        strays = self._projection.strays(states, results)
        self._projection.end(first)
        return strays

    def _filled(self, shown: Shown) -> Shown:
        task_id, task, result = shown
        if task is not None:
            task.body = filled_body(self._engine.medium, self._engine.format, task.body)
        return (
            task_id,
            task,
            None if result is None else filled_result(self._engine.medium, self._engine.format, result),
        )


def _dirty(engine: Engine, tx: Transaction, reached: int) -> tuple[int, list[Shown], bool]:
    """Return some of what changed since, which then counts as shown."""
    view = tx.view
    page: list[Shown] = []
    while view.dirty and len(page) < _SLICE:
        task_id = next(iter(view.dirty))
        entry = view.dirty.pop(task_id)
        if entry >= reached:
            page.append(_shown(view, task_id))
    return engine.medium.position, page, bool(view.dirty)


def _everything(engine: Engine, tx: Transaction, after: str) -> tuple[int, list[Shown], bool]:
    """Return a page of all there is, by id."""
    view = tx.view
    ids = sorted(each for each in view.tasks.keys() | view.results.by_id.keys() if each > after)
    return engine.medium.position, [_shown(view, each) for each in ids[:_SLICE]], len(ids) > _SLICE


def _shown(view: View, task_id: str) -> Shown:
    task = view.tasks.get(task_id)
    return task_id, None if task is None else copy_task(task), view.results.by_id.get(task_id)


def _states(view: View) -> dict[str, TaskStatus]:
    return {task.id: task.state for task in view.tasks.values()}


def _lonely(view: View) -> set[str]:
    """Return the ids of outcomes whose task is not here."""
    return view.results.by_id.keys() - view.tasks.keys()


def filled_body(medium: Medium, form: Format, body: TaskBody) -> TaskBody:
    """Return a body with what is in its blob; what is too large to be shown stays there."""
    if type(body) is not StoredBody or body.size > _LARGEST:
        return body
    (data,) = medium.read_blobs([body.blob])
    with contextlib.suppress(StoreFormatError):
        if data is not None:
            return form.load_body(data, body)
    return UNREADABLE


def filled_result(medium: Medium, form: Format, result: ResultRecord) -> ResultRecord:
    """Return an outcome with what is in its blob; what is too large to be shown stays there."""
    if type(result) is not StoredResult or result.size > _LARGEST:
        return result
    (data,) = medium.read_blobs([result.blob])
    with contextlib.suppress(StoreFormatError):
        if data is not None:
            return result.whole(form.read_value(data))
    return result


class Syncing:
    """Waits for the disk once a second where anything was written.

    Args:
        engine: Knows how far the log is.
        medium: Has the segment.
    """

    def __init__(self, engine: Engine, medium: LocalMedium) -> None:
        self._engine = engine
        self._medium = medium
        self._synced = medium.position
        self._at = 0.0

    def close(self) -> None:
        """Let nothing go: there is nothing."""

    def run(self, *, closing: bool) -> float | None:
        """Wait for the disk if the last time is long ago."""
        position = self._medium.position
        if position == self._synced:
            return None
        left = self._at + _SYNC - time.monotonic()
        if left > 0 and not closing:
            return left
        self._at = time.monotonic()
        descriptor = self._engine.ask(lambda _: os.dup(self._medium.segments.descriptor))
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self._synced = position
        return None


class Compacting:
    """Writes a checkpoint when the log has grown, and removes what that makes needless.

    It folds the sealed segments anew from the disk, beside the engine, which goes on meanwhile.

    Args:
        engine: Changes the segment.
        medium: Has the segments.
        projecting: Has shown everything before older segments go.
    """

    def __init__(self, engine: Engine, medium: LocalMedium, projecting: Projecting) -> None:
        self._engine = engine
        self._medium = medium
        self._projecting = projecting
        self._lock = FileLock(medium.folder / "compaction.lock")

    def close(self) -> None:
        """Let everything go."""
        self._lock.close()

    def run(self, *, closing: bool) -> float | None:
        """Write a checkpoint if that is worth it."""
        if closing or not self._is_worth():
            return None
        self.compact(needed=False)
        return None

    def compact(self, *, needed: bool = True) -> int:
        """Write a checkpoint, and return the number of the first entry behind it; 0 if there was no need to.

        Args:
            needed: Whether to do so even if the log is short.
        """
        if not self._lock.acquire_now():
            return 0  # another process is at it
        try:
            number = self._engine.ask(lambda _: self._rotate(needed=needed), writes=True)
            if number:
                view = state_before(self._medium.segments, self._engine.format, number)
                with self._projecting.lock.hold():
                    self._projecting.catch_up()
                self._medium.segments.write_checkpoint(number, checkpoint_pages(view, number, self._engine.format))
                self._medium.segments.remove_before(number)
            return number
        finally:
            self._lock.release()

    def _is_worth(self) -> bool:
        segments = self._medium.segments
        return segments.size > _SMALLEST and segments.size > _GROWTH * segments.checkpoint_size()

    def _rotate(self, *, needed: bool) -> int:
        return self._medium.segments.rotate() if needed or self._is_worth() else 0


def state_before(segments: Segments, form: Format, number: int) -> View:
    """Fold what is on the disk before an entry, which begins a segment.

    Raises:
        StoreFormatError: It is damaged.
    """
    view = View()
    for payload in segments.history(number):
        entry = form.load(payload)
        view.clock = max(view.clock, entry["at"])
        fold(view, entry["do"], form)
    return view
