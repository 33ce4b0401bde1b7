"""The client: a pool of connections, and the four roles whose methods are calls through it."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from urllib.parse import urlsplit

from omniq.errors import ConnectionLostError, OutcomeUnknownError, StoreClosedError
from omniq.storage.events import EventStorage
from omniq.storage.results import ResultStorage
from omniq.storage.schedules import ScheduleStorage
from omniq.storage.task_queue import TaskQueue

from .wire import packed, receive

POLL = 0.02


class Link:
    """What the roles of one handle share. A connection serves one call at a time."""

    timeout = 1.5
    connect_timeout = 10.0

    def __init__(self, url, namespace):
        self.url = url
        self.namespace = namespace
        self.handle = uuid.uuid4().hex
        self.joined = frozenset()
        self.capabilities = None
        self.users = 0
        self.idle = []
        self.busy = set()

    async def connect(self):
        """Return a connection that has said hello; nothing was asked of the server if this raises."""
        address = urlsplit(self.url)
        writer = None
        try:
            async with asyncio.timeout(self.connect_timeout):
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
                writer.write(packed((self.namespace, self.handle, self.joined)))
                self.capabilities = await receive(reader)
        except BaseException as error:
            if writer is not None:
                writer.transport.abort()
            if isinstance(error, (OSError, EOFError)):
                raise ConnectionLostError(f"{self.url} cannot be reached: {error!r}") from error
            raise
        return reader, writer

    async def greet(self):
        self.idle.append(await self.take())

    async def take(self):
        while self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof() and reader.exception() is None:
                return reader, writer
            self.drop(writer)
        return await self.connect()

    async def call(self, role, method, *args, **kwargs):
        """Make a call, once."""
        reader, writer = await self.take()
        self.busy.add(writer)
        try:
            async with asyncio.timeout(self.patience(method, args)):
                writer.write(packed((role, method, args, kwargs)))
                await writer.drain()
                is_good, answer = await receive(reader)
        except (OSError, EOFError) as error:
            self.drop(writer)
            raise (self.lost(method, error) if self.users else StoreClosedError("It was closed.")) from error
        except BaseException:
            self.drop(writer)
            raise
        finally:
            self.busy.discard(writer)
        if self.users:
            self.idle.append((reader, writer))
        else:
            self.drop(writer)
        if not is_good:
            raise answer
        return answer

    def lost(self, method, error):
        return OutcomeUnknownError(f"No answer to {method}: {error!r}")

    def patience(self, method, args):
        return self.timeout + (args[1] if method in {"wait", "wait_done"} else 0)

    def drop(self, writer):
        writer.transport.abort()

    def disconnect(self):
        for _, writer in self.idle:
            self.drop(writer)
        self.idle.clear()
        for writer in self.busy:
            self.drop(writer)


class RemoteRole:
    role = ""

    def __init__(self, link):
        self.link = link
        self.is_open = False

    async def open(self):
        if not self.is_open:
            await self.link.greet()
            self.link.users += 1
            self.is_open = True

    async def close(self):
        if self.is_open:
            self.is_open = False
            self.link.users -= 1
            if not self.link.users:
                self.link.disconnect()

    @property
    def capabilities(self):
        self.check()
        return self.link.capabilities[self.role]

    def check(self):
        if not self.is_open:
            raise StoreClosedError("It is not open.")

    def sibling(self):
        link = type(self.link)(self.link.url, self.link.namespace)
        link.joined = self.link.joined
        return type(self)(link)

    def join(self, roles):
        self.link.joined = roles
        self.link.disconnect()
        return roles

    async def tail(self, *, after=None, filter=None):
        self.check()
        while self.is_open:
            try:
                if after is None:
                    newest = await self.read(limit=1, desc=True)
                    after = newest[0].position if newest else ""
                found = await self.read(after=after or None, filter=filter)
            except (ConnectionLostError, OutcomeUnknownError):
                found = []
            for event in found:
                after = event.position
                yield event
            await asyncio.sleep(POLL)


def _remote(role, abc):
    def caller(method):
        async def call(self, *args, **kwargs):
            self.check()
            return await self.link.call(role, method, *args, **kwargs)

        return call

    own = vars(RemoteRole).keys()
    methods = [name for name, member in inspect.getmembers(abc, inspect.iscoroutinefunction) if name[0] != "_"]
    return type(
        f"Remote{abc.__name__}", (RemoteRole, abc), {"role": role, **{m: caller(m) for m in methods if m not in own}}
    )


ROLES = {
    "task_queue": _remote("task_queue", TaskQueue),
    "results": _remote("results", ResultStorage),
    "events": _remote("events", EventStorage),
    "schedules": _remote("schedules", ScheduleStorage),
}
