"""The other thread of a store in this process: what may happen a little later than the answer.

It writes the files for people, waits for the disk where `fsync` is `batch`, removes blobs that nobody needs, and
writes checkpoints.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from omniq.errors import OmniQError, StoreClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omniq_file.medium import Medium

__all__ = ["Chore", "Keeper"]

_log = logging.getLogger("omniq_file")

_QUIET = 0.004
_BUSY = 5.0
_RETRY = 1.0


class Chore(Protocol):
    """Something that follows the log."""

    def run(self, *, closing: bool) -> float | None:
        """Do what is to be done now; return after how many seconds there is more to do, None if there is nothing."""

    def close(self) -> None:
        """Let everything go."""


class Keeper:
    """Runs chores when the log has been quiet for a moment, and every few seconds while it is not.

    Args:
        medium: Where blobs are.
        chores: Makes the chores, in the thread that runs them.
        on_end: Called when everything is done.
    """

    def __init__(self, medium: Medium, chores: Callable[[], list[Chore]], on_end: Callable[[], None]) -> None:
        self._medium = medium
        self._make_chores = chores
        self._on_end = on_end
        self._changed = threading.Condition()
        self._entries = 0
        self._blobs: list[str] = []
        self._flushes: list[Future[None]] = []
        self._seen = self._finished = 0  # the number of entries that chores ran for, and that are done with
        self._is_awake = False
        self._stopping = False
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name=f"omniq-file-keeper-{medium.shown}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def note_entry(self) -> None:
        """Take note of an entry; from any thread."""
        self._entries += 1
        if not self._is_awake:
            with self._changed:
                self._changed.notify()

    def drop(self, blobs: Iterable[str]) -> None:
        """Have blobs removed; from any thread."""
        with self._changed:
            self._blobs += blobs
            self._changed.notify()

    def stop(self) -> None:
        """Do what is left and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def flush(self) -> Future[None]:
        """Do at once what is left to be done; the future tells when that is over."""
        done: Future[None] = Future()
        with self._changed:
            if self._entries == self._finished or self._has_ended:
                done.set_result(None)
            else:
                self._flushes.append(done)
                self._changed.notify()
        return done

    def _run(self) -> None:
        chores: list[Chore] = []
        try:
            chores = self._make_chores()
        except StoreClosedError:
            pass  # it could not be opened
        except (OSError, OmniQError) as error:
            _log.warning(
                "%s: nothing follows the log, neither files for people nor checkpoints: %s", self._medium.shown, error
            )
        try:
            self._work(chores)
        finally:
            with self._changed:
                self._has_ended = True
            self._answer(self._flushes)
            for chore in chores:
                chore.close()
            self._on_end()

    def _work(self, chores: list[Chore]) -> None:
        due: list[float | None] = [0.0] * len(chores)  # None: with the next entry
        while not self._has_ended:
            self._wait(min((at for at in due if at is not None), default=None))
            closing = self._stopping
            has_news = self._entries != self._seen
            if has_news and not closing and not self._flushes:
                self._wait_for_quiet()
            with self._changed:
                flushes, self._flushes = self._flushes, []
                blobs, self._blobs = self._blobs, []
            self._seen = seen = self._entries
            self._medium.remove_blobs(blobs)
            urgent = closing or bool(flushes)
            for place, chore in enumerate(chores):
                at = due[place]
                if urgent or (has_news if at is None else at <= time.monotonic()):
                    delay = self._attempt(chore, closing=urgent)
                    due[place] = None if delay is None else time.monotonic() + delay
            if not any(due):
                self._finished = seen
            self._answer(flushes)
            if closing:
                return

    def _wait(self, until: float | None) -> None:
        """Wait for something to do."""
        with self._changed:
            self._is_awake = False
            patience = None if until is None else until - time.monotonic()
            has_work = self._stopping or self._entries != self._seen or self._blobs or self._flushes
            if not has_work and (patience is None or patience > 0):
                self._changed.wait(patience)
            self._is_awake = True

    def _answer(self, flushes: list[Future[None]]) -> None:
        for flush in flushes:
            flush.set_result(None)

    def _attempt(self, chore: Chore, *, closing: bool) -> float | None:
        try:
            return chore.run(closing=closing)
        except StoreClosedError:
            return None
        except (OSError, OmniQError) as error:
            _log.warning("%s: %s; it is tried again", self._medium.shown, error)
            return _RETRY

    def _wait_for_quiet(self) -> None:
        deadline = time.monotonic() + _BUSY
        while time.monotonic() < deadline and not self._stopping and not self._flushes:
            before = self._entries
            time.sleep(_QUIET)
            if self._entries == before:
                return
