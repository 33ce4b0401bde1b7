"""Clients that are broken in one way each."""

from __future__ import annotations

import asyncio
import contextlib

from omniq.errors import ConnectionLostError, OutcomeUnknownError

from .client import Link


class Swallowing(Link):
    """Takes a lost reply for success."""

    async def call(self, role, method, *args, **kwargs):
        try:
            return await super().call(role, method, *args, **kwargs)
        except OutcomeUnknownError:
            return ["ok"] * len(args[0]) if method in {"complete", "heartbeat"} else None


class Retrying(Link):
    """Sends a call again when its reply was lost."""

    async def call(self, role, method, *args, **kwargs):
        try:
            return await super().call(role, method, *args, **kwargs)
        except OutcomeUnknownError:
            return await super().call(role, method, *args, **kwargs)


class Certain(Link):
    """Says of a call whose reply was lost that it was not applied."""

    def lost(self, method, error):
        return ConnectionLostError(f"No answer to {method}: {error!r}")


class Untyped(Link):
    """Lets the errors of sockets through."""

    def lost(self, method, error):
        return ConnectionResetError(f"{method}: {error!r}")


class Unforgiving(Link):
    """Never connects again."""

    is_lost = False

    def lost(self, method, error):
        self.is_lost = True
        return super().lost(method, error)

    async def take(self):
        if self.is_lost:
            raise ConnectionLostError("It was lost before.")
        return await super().take()


class Hanging(Link):
    """Waits for an answer without end."""

    def patience(self, method, args):
        return None


class Hasty(Link):
    """Takes what one read gets for a whole message."""

    async def connect(self):
        reader, writer = await super().connect()
        reader.readexactly = lambda length: reader.read(max(length, 1 << 16)) if length > 4 else read(length)
        read = type(reader).readexactly.__get__(reader)
        return reader, writer


class Lazy(Link):
    """Opens without looking whether the server is there."""

    async def greet(self):
        pass


class Forging(Link):
    """Does not tell a worker that its task is lost."""

    async def call(self, role, method, *args, **kwargs):
        answer = await super().call(role, method, *args, **kwargs)
        return ["ok" if each == "lost" else each for each in answer] if method == "complete" else answer


class Leaking(Link):
    """Does not close a connection that broke."""

    kept = []  # noqa: RUF012 - what leaks outlives every handle

    def drop(self, writer):
        with contextlib.suppress(OSError):
            self.kept.append(writer.get_extra_info("socket").dup())
        super().drop(writer)


class Deaf(Link):
    """Goes on waiting on a connection that broke."""

    async def call(self, role, method, *args, **kwargs):
        try:
            return await super().call(role, method, *args, **kwargs)
        except OutcomeUnknownError:
            if method in {"wait", "wait_done"}:
                await asyncio.sleep(3600)
            raise
