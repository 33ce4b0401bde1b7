"""The store of one namespace: opened by several roles, with one connection, one view of the log and one clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

from omniq.errors import OmniQError, StorageError, StoreClosedError, StoreFormatError
from omniq.storage.shared import Shared
from omniq_nats.clock import clock_of
from omniq_nats.codec import DAMAGE, SEQ, Slot, load_slot, unpack
from omniq_nats.failures import lost
from omniq_nats.feed import Feed, scan
from omniq_nats.firing import firing_of
from omniq_nats.greeting import greet
from omniq_nats.jetstream import CONFLICT, CURRENT, PASSING, JetStream, Message, Progress, Write, millis
from omniq_nats.link import Link
from omniq_nats.names import Names
from omniq_nats.view import View

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from omniq.storage.capabilities import Capabilities
    from omniq_nats.feed import Delivered
    from omniq_nats.options import NatsOptions

__all__ = ["Store"]

T = TypeVar("T")

_GRACE = 2.0
"""Seconds for calls that are under way to end when the store is closed."""
_MEASURE = 1.0
_OWN = 1000
_LONG = PASSING / 4
"""Seconds after the last message, when the tasks are read again: what told that some are gone may be gone, too."""
_LOOK = 0.1
"""Seconds for the feed to give what the server has, before it is looked for."""


async def _told(call: Coroutine[Any, Any, T]) -> T:
    """Make a call, whose error says whether something was applied."""
    progress = Progress()
    CURRENT.set(progress)
    try:
        return await call
    except StoreClosedError:
        raise
    except StorageError as error:
        raise progress.failed(error) from error


class Store(Shared):
    """Belongs to the event loop that opened it.

    Args:
        options: How to reach the servers.
        project: The project's name.

    Attributes:
        names: Of streams and subjects.
        link: The connection.
        jetstream: The streams.
        clock: The servers' time.
        view: What is known of the log; complete once `attach` was called.
    """

    def __init__(self, options: NatsOptions, project: str) -> None:
        super().__init__(f"NATS backend at {options.where}")
        self.options = options
        self.project = project
        self.names = Names.of(options.namespace, project)
        self._reset()

    def _reset(self) -> None:
        self.link = Link(self.options)
        self.jetstream = JetStream(self.link, self.names)
        self.clock = clock_of(self.options.where)
        self.view = View()
        self.is_attached = False
        self._floor = 0
        self._attaching = asyncio.Lock()
        self._feed: Feed | None = None
        self._passed = 0
        self._passed_at = 0.0
        self._own: set[int] = set()
        self._most_own = _OWN
        self._sent: dict[bytes, tuple[bytes, Slot]] = {}
        self._active: set[asyncio.Task[Any]] = set()
        self._lingering: set[asyncio.Task[Any]] = set()
        self._advanced: dict[asyncio.Future[None], int] = {}

    # Life

    async def connect(self) -> Capabilities:
        """Connect and look at the servers.

        Raises:
            ConnectionLostError: They cannot be reached.
            ConfigError: They lack something that the options ask for.
            StoreFormatError: A newer version of this backend has changed the format of the namespace.
        """
        self._reset()
        return await greet(self)

    async def disconnect(self) -> None:
        """Let calls that are under way end, then everything go."""
        self.view.wake()
        if self._active:
            await asyncio.wait(self._active, timeout=_GRACE)
        if self._feed is not None:
            await self._feed.stop()
        await self.link.close()

    def check_usable(self) -> None:
        """Refuse to work when closed; calls that are under way may still end.

        Raises:
            StoreClosedError: It is so.
        """
        if not self._active:
            self.check_open()

    async def whole(self, call: Coroutine[Any, Any, T]) -> T:
        """Let a call that changes something end, also if its caller is cancelled; calls that follow wait for that."""
        await self.settled()
        task = asyncio.get_running_loop().create_task(_told(call))
        self._active.add(task)
        task.add_done_callback(self._active.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self._lingering.add(task)
                task.add_done_callback(self._lingered)
            raise

    async def settled(self) -> None:
        """Wait for calls that were cancelled, unless this is a part of one."""
        if self._lingering and CURRENT.get() is None:
            await asyncio.wait(self._lingering)

    def _lingered(self, task: asyncio.Task[Any]) -> None:
        self._lingering.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it any more

    # Time

    def now(self) -> int:
        """Return the servers' time, as it is estimated; never behind what the store has shown."""
        self._floor = max(self._floor, self.view.latest, self.clock.now())
        return self._floor

    async def measure(self) -> None:
        """Compare clocks with the server: write a message, and read the time that it got."""
        before = time.monotonic()
        progress = Progress()
        await self.jetstream.write([Write(self.names.clock, None, os.urandom(8))], progress)
        after = time.monotonic()
        (message,) = await self.jetstream.last([self.names.clock])
        if message is not None:
            # It is a whole number of milliseconds, rounded down.
            self.clock.measured(before, after, (message.at + 0.5) / 1000)

    async def time(self, now: int | None) -> int:
        """Return the time of a call: `now`, or the servers' own."""
        await self.settled()
        if now is not None:
            return now
        if self.clock.is_old:
            with contextlib.suppress(OmniQError, TimeoutError):
                async with asyncio.timeout(_MEASURE):
                    await self.measure()
        return self.now()

    # The view

    async def fresh(self) -> View:
        """Return the view once it has all that the log's leader had when this was called.

        Raises:
            ConnectionLostError: The servers do not answer.
        """
        self.check_usable()
        await self.settled()
        await self._attach()
        last = await self.last_rev()
        if last > self._passed:
            await self._until(last)
        return self.view

    async def last_rev(self) -> int:
        """Return the number of the log's last message."""
        before = time.monotonic()
        told = await self.jetstream.info(self.names.log)
        after = time.monotonic()
        if told is None:
            raise StoreFormatError(f"The stream {self.names.log} was deleted. Open the store again to make a new one.")
        if "ts" in told:
            self.clock.measured(before, after, (millis(told["ts"]) + 0.5) / 1000)
        self.jetstream.is_direct = told["config"]["num_replicas"] == 1  # an operator may have changed it
        last: int = told["state"]["last_seq"]
        return last

    async def _until(self, last: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.options.request_timeout
        while self._passed < last:
            self.check_usable()
            future = loop.create_future()
            self._advanced[future] = last
            try:
                async with asyncio.timeout(_LOOK):
                    await future
            except TimeoutError:
                if loop.time() > deadline:
                    raise lost(self.options.where, "the log does not come") from None
                await self._look(last)
            finally:
                self._advanced.pop(future, None)

    async def _look(self, last: int) -> None:
        """Read what the feed has not given: it may be late, or the last messages may have been deleted."""
        first = self._passed + 1
        async with contextlib.aclosing(
            scan(self.jetstream, self.names.log, f"{self.names.prefix}.>", first=first, end=last)
        ) as messages:
            async for message in messages:
                self._take(message)
        if self._passed < last:
            self._advance(last)

    async def _attach(self) -> None:
        """Read the tasks that there are, and follow what becomes of them."""
        if self._is_current:
            return
        async with self._attaching:
            if self._is_current:  # somebody else has done it meanwhile
                return  # type: ignore[unreachable]
            began = await self.last_rev()
            await self._read_all(began)
            if not self.is_attached:
                self._passed = began
                self._own.clear()
                self._feed = Feed(self.jetstream, self.names.log, self._take, self._going_on, self.view.wake)
                self._feed.start()
                self.is_attached = True
            self._passed_at = time.time()

    @property
    def _is_current(self) -> bool:
        return self.is_attached and time.time() - self._passed_at < _LONG

    async def _read_all(self, began: int) -> None:
        """Read what there is, and forget tasks that were known by `began` and are not there any more."""
        seen: set[str] = set()
        for pattern in ("l.*.h", "q.*", "s.*"):
            subject = f"{self.names.prefix}.{pattern}"
            async with contextlib.aclosing(scan(self.jetstream, self.names.log, subject, is_latest=True)) as messages:
                async for message in messages:
                    task_id = self._apply(message)
                    if task_id is not None:
                        seen.add(task_id)
        if self.is_attached:
            self.view.keep(seen, began)

    def _going_on(self) -> Mapping[str, object]:
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": self._passed + 1}

    def _take(self, message: Delivered) -> None:
        rev = message.rev
        if rev <= self._passed:
            return
        if rev in self._own:
            self._own.discard(rev)
        elif (sent := self._sent.get(message.subject)) is not None and sent[0] == message.payload:
            _stored(sent[1], rev)
            self.view.apply(sent[1])
        else:
            self._apply(message)
        self._advance(rev)

    def _advance(self, rev: int) -> None:
        own = self._own
        while own and rev + 1 in own:
            rev += 1
            own.discard(rev)
        self._passed = rev
        self._passed_at = time.time()
        self.view.passed(rev)
        if self._advanced:
            for future, last in self._advanced.items():
                if last <= rev and not future.done():
                    future.set_result(None)

    def _apply(self, message: Delivered) -> str | None:
        """Take a message that is not known, and return the id if it is a task's.

        One that is damaged must not hold up those after it.
        """
        kind = message.subject[len(self.names.prefix) + 1 : len(self.names.prefix) + 2]
        try:
            if message.subject.endswith(b".h"):
                slot = load_slot(message.payload, message.rev)
                self.view.apply(slot)
                return slot.id
            if kind == b"q":
                queue, paused = unpack(message.payload)
                self.view.pause(queue, paused=paused)
            elif kind == b"s":
                subject, stored = message.subject.decode(), Message(message.rev, message.payload, 0)
                self.view.firing.pop(subject, None)
                if firing_of(stored) is not None:
                    self.view.firing[subject] = stored
        except (StoreFormatError, *DAMAGE):
            self.view.damaged.add(message.rev)
        return None

    # Tasks

    def wrote(self, rev: int) -> None:
        """Take note of an own message in the log, so that its echo need not be read."""
        if self.is_attached and rev > self._passed:
            if rev == self._passed + 1:
                self._advance(rev)
            else:
                self._own.add(rev)
                if len(self._own) > self._most_own:  # of some the echo never comes: they were replaced before
                    self._own = {each for each in self._own if each > self._passed}
                    self._most_own = 2 * len(self._own) + _OWN

    async def load(self, ids: Sequence[str]) -> list[Slot]:
        """Return what the leader has for task ids."""
        self.check_usable()
        await self.settled()
        found = await self.jetstream.last([self.names.task(task_id) for task_id in ids])
        slots = []
        for task_id, message in zip(ids, found, strict=True):
            slot = Slot(task_id) if message is None else load_slot(message.payload, message.rev)
            if self.is_attached and message is not None:
                self.view.apply(slot)
            slots.append(slot)
        return slots

    async def put(self, slots: Sequence[Slot], progress: Progress) -> list[bool]:
        """Write slots whose `rev` is what they were made from; tell of each whether it was that still.

        Those that were written have their new number, and are in the view.
        """
        self.check_usable()
        task = self.names.task
        writes = [
            Write(task(slot.id), slot.rev, slot.dump(), bool(slot.rev) and not slot.is_logged, slot.is_passing)
            for slot in slots
        ]
        sent = {write.subject.encode(): (write.payload, slot) for write, slot in zip(writes, slots, strict=True)}
        if self.is_attached:
            self._sent.update(sent)  # echoes may come before the answers
        try:
            revs = await self.jetstream.write(writes, progress)
        finally:
            for subject, each in sent.items():
                if self._sent.get(subject) is each:
                    del self._sent[subject]
        apply = self.view.apply if self.is_attached else None
        answers = []
        spare = []
        for slot, rev in zip(slots, revs, strict=True):
            if rev == CONFLICT:
                answers.append(False)
                continue
            _stored(slot, rev)
            if slot.spare and slot.is_logged:  # else the new one has taken its place
                spare.append(slot.spare)
            if apply is not None:
                apply(slot)
                self.wrote(rev)
            answers.append(True)
        if spare:
            self.jetstream.drop(self.names.log, spare)
        return answers


def _stored(slot: Slot, rev: int) -> None:
    """Take note of the number of the message that a slot is in; the first one is the task's seq."""
    slot.rev = rev
    if slot.row is not None and slot.row[SEQ] is None:
        slot.row[SEQ] = rev
