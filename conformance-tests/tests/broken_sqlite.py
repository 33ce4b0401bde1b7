"""SQLite with bugs that only a process that dies, stops or meets a bad disk can show; planted in child processes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from unittest.mock import patch

import attrs

import omniq_sqlite.connection
from omniq.errors import StorageError, StoreFormatError
from omniq.models.record import Completion, Enqueued
from omniq.storage.capabilities import Durability
from omniq_sqlite import claiming
from omniq_sqlite.conformance import SQLiteHarness
from omniq_sqlite.connection import Database
from omniq_sqlite.ledger import put_results
from omniq_sqlite.schema import APPLICATION_ID
from omniq_sqlite.task_queue import SQLiteTaskQueue
from omniq_sqlite.writer import Writer


class BrokenHarness(SQLiteHarness):
    """Opens SQLite; in every process but the one that made it, with a bug."""

    def __init__(self, bug, **options):
        super().__init__()
        self.bug = bug
        self.options = options
        self.maker = os.getpid()
        self.planted = False

    async def open(self, namespace):
        if os.getpid() != self.maker and not self.planted:
            self.planted = True
            BUGS[self.bug]()
        return await super().open(namespace)


def replace(owner, name, change):
    original = getattr(owner, name)
    patch.object(owner, name, lambda *args, **more: change(original, *args, **more)).start()


_popped = {}


def _take_out(connection, ids):
    for id in ids:
        row = connection.execute("SELECT * FROM task WHERE id = ?", (id,)).fetchone()
        connection.execute("DELETE FROM task WHERE id = ?", (id,))
        _popped[id] = tuple(row)


def _put_in(connection):
    for row in _popped.values():
        connection.execute(f"INSERT INTO task VALUES ({', '.join('?' * len(row))})", row)


def claim_pops():
    """A claim takes the task out of the store, and settling it puts it back, as a list that is popped."""

    async def claim(original, self, *args, **more):
        await put_back(self)
        grants = await original(self, *args, **more)
        await self.opened.write(lambda connection: _take_out(connection, [grant.id for grant in grants]))
        return grants

    async def put_back(self):
        if _popped:
            await self.opened.write(_put_in)
            _popped.clear()

    async def after_putting_back(original, self, *args, **more):
        await put_back(self)
        return await original(self, *args, **more)

    replace(SQLiteTaskQueue, "claim", claim)
    for name in ("held", "heartbeat", "complete", "fail", "release", "recover", "cancel", "outbox"):
        replace(SQLiteTaskQueue, name, after_putting_back)


_writing = set()


def _in_background(call, delay):
    async def write():
        await asyncio.sleep(delay)
        await call()

    task = asyncio.get_running_loop().create_task(write())
    _writing.add(task)
    task.add_done_callback(_writing.discard)


def answered_before_written():
    """A completion is answered before it is written."""

    async def complete(original, self, items, *, now=None):
        _in_background(lambda: original(self, items, now=now), 0)
        return ["ok"] * len(items)

    replace(SQLiteTaskQueue, "complete", complete)


def purged_later():
    """A purge is answered long before it is written."""

    async def purge(original, self, *args, **more):
        found = [record.id for record in await self.list(limit=1000) if record.finished_at is not None]
        found.sort(key=lambda id: ["a", "b", "c"].index(id) if id in "abc" else 9)
        _in_background(lambda: original(self, *args, **more), 0.2)
        return found

    replace(SQLiteTaskQueue, "purge", purge)


def enqueued_later():
    """An enqueue is answered long before it is written."""

    async def enqueue(original, self, specs, *, now=None):
        _in_background(lambda: original(self, specs, now=now), 0.05)
        return [Enqueued(spec.id, created=True) for spec in specs]

    replace(SQLiteTaskQueue, "enqueue", enqueue)


def results_apart():
    """The result is written after the completion, in a transaction of its own."""

    async def complete(original, self, items, *, now=None):
        replies = await original(self, [Completion(item.id, item.token) for item in items], now=now)
        results = [item.result for item in items if item.result is not None]
        await self.opened.write(lambda connection: put_results(connection, results, now))
        return replies

    replace(SQLiteTaskQueue, "complete", complete)


def errors_swallowed():
    """A write that fails is reported as done."""

    def swallowing(answer):
        async def call(original, self, items, **more):
            try:
                return await original(self, items, **more)
            except StorageError:
                return answer(items)

        return call

    replace(SQLiteTaskQueue, "complete", swallowing(lambda items: ["ok"] * len(items)))
    for name in ("outbox_ack", "pause", "resume"):
        replace(SQLiteTaskQueue, name, swallowing(lambda _: None))


def errors_untyped():
    """A write that fails raises what the engine raised."""

    async def enqueue(original, self, specs, **more):
        try:
            return await original(self, specs, **more)
        except StorageError as error:
            raise OSError(str(error)) from error

    replace(SQLiteTaskQueue, "enqueue", enqueue)


def dead_after_an_error():
    """After one failure nothing can be written any more."""
    failed = []

    def write(original, self, connection, jobs):
        outcomes = original(self, connection, jobs)
        failed.extend(outcome.error for outcome in outcomes if outcome.error is not None)
        return [outcome._replace(error=failed[0]) for outcome in outcomes] if failed else outcomes

    replace(Writer, "_write", write)


def any_token_will_do():
    """A settling does not look at the token."""

    async def complete(original, self, items, **more):
        records = await self.get([item.id for item in items])
        return await original(self, [Completion(record.id, record.token) for record in records], **more)

    replace(SQLiteTaskQueue, "complete", complete)


def held_by_another():
    """What is held is read by another connection, beside the claim that may be under way."""

    async def held(_, self, worker, claim_id):
        other = sqlite3.connect(self.opened.path)
        other.row_factory = sqlite3.Row
        try:
            return claiming.held(other, worker, claim_id)
        finally:
            other.close()

    replace(SQLiteTaskQueue, "held", held)


def watches_the_file():
    """A wait looks again when the journal has changed, which begins before what is written can be read."""

    def journal(self):
        found = self.path.with_name(self.path.name + "-wal").stat()
        return found.st_size, found.st_mtime_ns

    async def wait_until(original, self, kind, look, timeout, *, on_bell=None):
        deadline = time.monotonic() + timeout
        while True:
            seen = journal(self)
            answer, _ = await look()
            if answer is not None or time.monotonic() >= deadline:
                return answer
            while journal(self) == seen and time.monotonic() < deadline:  # noqa: ASYNC110 - that is the bug
                await asyncio.sleep(0.005)

    replace(Database, "wait_until", wait_until)


def checked_in_pieces():
    """What a file is, is read in pieces, between which another one may make it a store."""

    def check_format(original, connection, path):
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != APPLICATION_ID:
            raise StoreFormatError(f"{path} is an SQLite file of another program.")
        return original(connection, path)

    replace(omniq_sqlite.connection, "check_format", check_format)


def claims_more_than_it_does():
    """It declares that it survives a crash of the system, whatever its options are."""
    replace(Database, "_describe", _declares_os_crash)


def _declares_os_crash(original, self):
    return attrs.evolve(original(self), durability=Durability.OS_CRASH)


def nothing():
    """No bug."""


BUGS = {function.__name__: function for function in list(globals().values()) if hasattr(function, "__code__")}
