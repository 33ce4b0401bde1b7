"""The one thread of a store in this process: it reads the log, decides, appends, and wakes who waits.

Operations that arrive while an entry is being written share the next one: no timer, no delay when idle.
"""

from __future__ import annotations

import itertools
import os
import random
import secrets
import select
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from omniq.errors import ConnectionLostError, OutcomeUnknownError, StoreClosedError, StoreFormatError
from omniq_file.bells import DONE, EVENTS, WORK
from omniq_file.failures import mapped
from omniq_file.formats import make_format
from omniq_file.jobs import Board, Job, Outcome, Waiter, resolve
from omniq_file.machine.transaction import Effect, Transaction, checkpoint_pages, fold
from omniq_file.machine.view import Noise, View
from omniq_file.medium import ConflictError, LaggingError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from omniq_file.formats import Format
    from omniq_file.medium import Medium, Opened

__all__ = ["Engine"]

T = TypeVar("T")

_GROUP = 64
"""At most so many operations share an entry, so that the first of them does not wait long for the last."""
_CONTENTION = 30.0
"""Seconds after which an operation that others are always faster than gives up."""
_PAUSE = 0.01
_MANY_DIRTY = 10_000
_NOW_AND_THEN = 10.0


class Engine:
    """Runs jobs, one group after the other.

    Args:
        medium: Keeps the log.
        signing_key: For stores whose payloads are pickled.
        on_entry: Called after every entry of this process, in the engine's thread.
        on_dropped: Called with names of blobs that nobody needs any more.

    Attributes:
        medium: As given.
        format: How the store is written; known once it is open.
        view: What the log says; for jobs only.
        board: Who waits; for jobs only.
        opened: Done when the store is open, with what is known of it then.
        ended: Done when the thread has let everything go.
    """

    def __init__(
        self,
        medium: Medium,
        signing_key: str | None,
        *,
        on_entry: Callable[[], None],
        on_dropped: Callable[[Iterable[str]], None],
    ) -> None:
        self.medium = medium
        self.format: Format
        self.view = View()
        self.board = Board()
        self.opened: Future[Opened] = Future()
        self.ended: Future[None] = Future()
        self.base = 1
        self._signing_key = signing_key
        self._on_entry = on_entry
        self._on_dropped = on_dropped
        self._jobs: deque[Job] = deque()
        self._is_fresh = False  # whether the view is that of the position
        self._stopping = False
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._told = 0.0
        self._woken = False
        self._reader, self._writer = socket.socketpair()
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        self._bells: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name=f"omniq-file-{medium.shown}", daemon=True)

    # From any thread

    @property
    def is_foreign(self) -> bool:
        """Whether this is a copy that a fork made."""
        return self._pid != os.getpid()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue an operation.

        Raises:
            StoreClosedError: The store is closed, or belongs to another process.
        """
        if self.is_foreign:
            raise self._closed()
        with self._lock:
            if self._stopping:
                raise self._closed()
            self._jobs.append(job)
            self._stir()

    def ask(self, run: Callable[[Transaction], T], *, writes: bool = False) -> T:
        """Run a function in the engine's thread, and wait for it in this one."""
        future: Future[T] = Future()
        self.submit(Job(run, future, None, writes=writes))
        return future.result()

    def stop(self) -> None:
        """Finish what is queued and end; the future `ended` tells when."""
        with self._lock:
            if not self._stopping:
                self._stopping = True
                self._stir()

    def _stir(self) -> None:
        """Wake the thread; under the lock, because the pipe may be closed."""
        if not self._woken:
            self._woken = True
            self._writer.send(b"!")

    def _closed(self) -> StoreClosedError:
        return StoreClosedError(f"The store {self.medium.shown} is closed; open it before using it.")

    # The thread

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:  # noqa: BLE001 - it goes to whoever opens the store
            self._let_go()
            self.opened.set_exception(mapped(error, f"Opening {self.medium.shown}"))
            self.ended.set_result(None)
            return
        try:
            while self._jobs or not self._stopping:
                self._turn()
        finally:
            self.board.wake_all()
            self._let_go()
            self.ended.set_result(None)

    def _open(self) -> None:
        opened = self.medium.open()
        self.format = make_format(opened.serialization_format, self._signing_key)
        self._refresh(exclusive=False)
        self.opened.set_result(opened)

    def _let_go(self) -> None:
        with self._lock:
            self._stopping = True
            self._reader.close()
            self._writer.close()
        self.medium.close()
        resolve([Outcome(job, None, self._closed()) for job in self._jobs])
        self._jobs.clear()

    def _turn(self) -> None:
        """Wait for jobs or for others' entries, and handle them."""
        if not self._jobs:
            rung = self._poll.poll(self._patience())
            if any(descriptor != self._reader.fileno() for descriptor, _ in rung):
                self.medium.heard()
        if self._woken:
            with self._lock:
                self._woken = False
                self._reader.recv(64)
        jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), _GROUP))]
        writes = [job for job in jobs if job.writes]
        reads = [job for job in jobs if not job.writes]
        if reads or (self.board and not writes):
            self._read(reads)
        if writes:
            self._write(writes)
        self._mind_bells()

    def _patience(self) -> float | None:
        """Return for how many milliseconds to wait for a bell."""
        return self.medium.patience * 1000 if self.board and not self._stopping else None

    def _mind_bells(self) -> None:
        """Listen for what is waited for, and for nothing else."""
        wanted = self.board.kinds()
        for kind in wanted - self._bells.keys():
            descriptor = self.medium.listen(kind)
            if descriptor is not None:
                self._bells[kind] = descriptor
                self._poll.register(descriptor, select.POLLIN)
        for kind in self._bells.keys() - wanted:
            self._poll.unregister(self._bells.pop(kind))

    # Reading

    def _read(self, jobs: list[Job]) -> None:
        outcomes: list[Outcome] = []
        try:
            self._refresh(exclusive=False)
        except BaseException as error:  # noqa: BLE001 - it goes to the callers
            found = mapped(error, f"Reading {self.medium.shown}")
            resolve([Outcome(job, None, found) for job in jobs])
            return
        self.view.dropped.clear()  # whoever dropped them removes them
        for job in jobs:
            try:
                outcomes.append(Outcome(job, job.run(self._transaction(job))))
            except BaseException as error:  # noqa: BLE001 - it goes to the caller
                outcomes.append(Outcome(job, None, error))
        resolve(outcomes)

    def _transaction(self, job: Job) -> Transaction:
        return Transaction(self.view, self.now() if job.now is None else job.now)

    def now(self) -> int:
        """Return the time: never before an entry that was seen, where several hosts write."""
        time = self.medium.time()
        return time if self.medium.has_one_clock else max(time, self.view.clock)

    def _refresh(self, *, exclusive: bool) -> None:
        """Bring the view up to date."""
        for _ in range(100):
            try:
                if not self._is_fresh:
                    self._restore()
                self._is_fresh = False  # unless all of what follows succeeds
                for payload in self.medium.read(exclusive=exclusive):
                    self._fold(payload)
                self._is_fresh = True
            except LaggingError:
                continue
            self._deliver()
            if len(self.view.dirty) > _MANY_DIRTY and time.monotonic() > self._told + _NOW_AND_THEN:
                self._told = time.monotonic()
                self._on_entry()  # or what others show is never forgotten
            return
        raise ConnectionLostError(f"{self.medium.shown}: others are always faster. Try again.")

    def _keep_up(self) -> bool:
        """Read what others append, and tell whether there was anything."""
        before = self.medium.position
        self._refresh(exclusive=False)
        return self.medium.position != before

    def _restore(self) -> None:
        self.view = View()
        for payload in self.medium.restore():
            self._fold(payload)
        self.view.dirty.clear()
        self.base = self.view.entry = self.medium.position
        self.board.wake_all()

    def _fold(self, payload: bytes) -> None:
        entry = self.format.load(payload)
        view = self.view
        try:
            view.entry = entry["n"]
            view.clock = max(view.clock, entry["at"])
            fold(view, entry["do"], self.format)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise StoreFormatError(
                f"{self.medium.shown}: an entry of the log does not fit to those before: {payload[:80]!r} ({error!r}). "
                "`omniq fsck` tells more."
            ) from error

    # Writing

    def _write(self, jobs: list[Job]) -> None:
        outcomes = self._committed(jobs)
        kinds = self._deliver()
        resolve(outcomes)
        if kinds:
            self.medium.wake(kinds)
        self._on_entry()
        unused = [name for outcome in outcomes if not _is_open(outcome) for name in outcome.job.blobs]
        dropped, self.view.dropped = self.view.dropped + unused, []
        if dropped:
            self._on_dropped([name for name in dropped if name not in self.view.blobs])

    def _committed(self, jobs: list[Job]) -> list[Outcome]:
        """Append one entry with the effects of all jobs."""
        deadline = time.monotonic() + _CONTENTION
        for attempt in itertools.count():
            try:
                with self.medium.exclusive(self._keep_up) as must_read:
                    if must_read or attempt:
                        self._refresh(exclusive=True)
                    elif not self._is_fresh:
                        continue
                    if self.medium.is_doubtful:
                        self.medium.renew(checkpoint_pages(self.view, self.medium.position, self.format))
                    outcomes, effects = self._decided(jobs)
                    if not effects and not must_read and not attempt:
                        continue  # nobody confirmed that the view is up to date
                    if effects:
                        self._append(effects)
                    self.view.keep()
                    return outcomes
            except ConflictError:
                self._roll_back()
                if time.monotonic() > deadline:
                    error: BaseException = ConnectionLostError(
                        f"{self.medium.shown}: others were faster for {_CONTENTION:.0f} s. Try again."
                    )
                    return [Outcome(job, None, error) for job in jobs]
                time.sleep(random.uniform(0, _PAUSE * min(attempt + 1, 20)))  # noqa: S311 - no secret
            except BaseException as failure:  # noqa: BLE001 - it goes to the callers
                self._roll_back()
                error = mapped(failure, f"Writing to {self.medium.shown}")
                return [Outcome(job, None, error) for job in jobs]
        raise AssertionError

    def _decided(self, jobs: list[Job]) -> tuple[list[Outcome], list[Effect]]:
        outcomes: list[Outcome] = []
        effects: list[Effect] = []
        view = self.view
        view.entry = self.medium.position
        for job in jobs:
            mark = view.begin()
            transaction = self._transaction(job)
            try:
                value = job.run(transaction)
            except BaseException as error:  # noqa: BLE001 - it goes to the caller
                view.roll_back(mark)
                outcomes.append(Outcome(job, None, error))
            else:
                effects += transaction.effects
                outcomes.append(Outcome(job, value))
        return outcomes, effects

    def _append(self, effects: list[Effect]) -> None:
        position, at = self.medium.position, self.now()
        entry = {"n": position, "by": secrets.token_hex(8), "at": at, "do": effects}
        try:
            self.medium.append(self.format.dump(entry))
        except OutcomeUnknownError:
            if self.medium.position > position:
                self.view.keep()  # it is in the log, whatever becomes of it
            raise
        self.view.clock = max(self.view.clock, at)

    def _roll_back(self) -> None:
        """Take back what was decided, if it was not appended."""
        self.view.roll_back()
        self.view.noise, self.view.dropped = Noise(), []

    # Waking

    def _deliver(self) -> str:
        """Wake who waits in this process; return the kinds of what there is."""
        noise = self.view.noise
        if not self.medium.is_projected:
            self.view.dirty.clear()
        if not noise:
            return ""
        self.view.noise = Noise()
        if self.board:
            for queue in noise.work:
                self.board.wake(WORK + queue)
            for task_id in noise.done:
                self.board.wake(DONE + task_id)
            if noise.events:
                self.board.wake(EVENTS)
        return WORK * bool(noise.work) + DONE * bool(noise.done) + EVENTS * noise.events

    def watch(self, waiter: Waiter) -> None:
        """Have a coroutine woken; in a job."""
        self.board.add(waiter)

    def forget(self, waiter: Waiter, loop: asyncio.AbstractEventLoop) -> None:
        """Forget a coroutine that does not wait any more."""
        if not self._stopping and not self.is_foreign:
            future: asyncio.Future[None] = loop.create_future()
            self.submit(Job(lambda _: self.board.remove(waiter), future, loop))


def _is_open(outcome: Outcome) -> bool:
    """Tell whether the effects of a job may yet come into the log."""
    return isinstance(outcome.error, OutcomeUnknownError)
