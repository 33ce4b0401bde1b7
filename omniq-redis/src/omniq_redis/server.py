"""One server: opened by several roles, and how scripts are run on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]
from redis import exceptions

from omniq.errors import OutcomeUnknownError, StorageError
from omniq.storage.shared import Shared
from omniq_redis.bell import Bell
from omniq_redis.failures import refused
from omniq_redis.greeting import greet
from omniq_redis.pool import Pool
from omniq_redis.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.storage.capabilities import Capabilities
    from omniq_redis.options import RedisOptions
    from omniq_redis.scripts import Script

__all__ = ["Server", "namespace_of"]

_REDIRECTS = 5
_PIPELINED = 16
"""So many scripts are sent before their replies are read; each does at most a few milliseconds of work."""
_NONE_YET = object()


def namespace_of(key_prefix: str, project: str) -> bytes:
    """Return what every key starts with: a hash tag, so that all keys are in one slot of a cluster."""
    name = f"{key_prefix}:{project}".replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return f"{{{name}}}:".encode()


class Server(Shared):
    """The server of one namespace, for the roles of one configuration. Belongs to the event loop that opened it.

    Args:
        options: How to reach it.
        project: The project's name.

    Attributes:
        prefix: What every key starts with.
        pool: The connections; new ones whenever it is opened again.
        bell: Hears wake-ups.
    """

    def __init__(self, options: RedisOptions, project: str) -> None:
        super().__init__(f"Redis backend at {options.host}:{options.port}")
        self.options = options
        self.project = project
        self.prefix = namespace_of(options.key_prefix, project)
        self.pool = Pool(options, self.prefix)
        self.bell = Bell(self)

    # Life

    async def connect(self) -> Capabilities:
        """Connect and look at the server.

        Raises:
            ConnectionLostError: It cannot be reached.
            ConfigError: It may evict keys, or lacks something that the options ask for.
            StoreFormatError: A newer version of this backend has changed the format of the namespace.
        """
        self.pool = Pool(self.options, self.prefix)
        self.bell = Bell(self)
        return await greet(self)

    async def disconnect(self) -> None:
        """Close all connections."""
        await self.bell.close()
        await self.pool.close()

    @property
    def where(self) -> str:
        """The address in messages."""
        return f"{self.options.host}:{self.options.port}"

    # Scripts

    async def run(self, name: str, payload: object, *, mode: bytes = b"", now: int | None = None) -> Any:
        """Run a script and return what it answers.

        Args:
            name: The script.
            payload: Its input.
            mode: The letters of the joined roles.
            now: Instead of the server's clock, in milliseconds since the epoch.
        """
        return (await self.run_all(name, [payload], mode=mode, now=now))[0]

    async def run_all(
        self, name: str, payloads: Sequence[object], *, mode: bytes = b"", now: int | None = None
    ) -> list[Any]:
        """Run a script once for each input, in one round trip unless they are very many, and return all answers."""
        wanted = script(name)
        if self.pool.is_cluster:
            mode += b"s"
        at = b"" if now is None else b"%d" % now
        replies: list[Any] = []
        for start in range(0, len(payloads), _PIPELINED):
            commands = [
                ("EVALSHA", wanted.sha, 1, self.prefix, at, mode, msgpack.packb(payload, use_bin_type=False))
                for payload in payloads[start : start + _PIPELINED]
            ]
            try:
                await self._scripted(wanted, commands, replies)
            except StorageError as error:
                if wanted.changes and any(reply is not _NONE_YET for reply in replies):
                    raise OutcomeUnknownError(f"A part of the batch was applied before this: {error}") from error
                raise
        return [None if reply is None else msgpack.unpackb(reply, raw=True, strict_map_key=False) for reply in replies]

    async def _scripted(self, wanted: Script, commands: Sequence[tuple[Any, ...]], replies: list[Any]) -> None:
        """Run commands of one script and add their replies; the server is given the script if it does not know it."""
        first = len(replies)
        replies += [_NONE_YET] * len(commands)
        left = list(range(len(commands)))
        for _ in range(_REDIRECTS):
            found = await self.execute([commands[number] for number in left], changes=wanted.changes)
            failed = None
            again = []
            for number, reply in zip(left, found, strict=True):
                if isinstance(reply, exceptions.NoScriptError):
                    again.append(number)
                elif isinstance(reply, exceptions.RedisError):
                    failed = failed or reply
                else:
                    replies[first + number] = reply
            if failed is not None:
                raise refused(failed) from failed
            if not again:
                return
            left = again
            await self.execute([("SCRIPT", "LOAD", wanted.source)])
        raise StorageError(f"The server at {self.where} forgets the script {wanted.name!r} as soon as it is loaded.")

    async def execute(self, commands: Sequence[tuple[Any, ...]], *, changes: bool = False) -> list[Any]:
        """Send commands in one go and return their replies; see `Pool.execute`.

        Raises:
            StoreClosedError: The server is not open.
        """
        self.check_open()
        return await self.pool.execute(commands, changes=changes)
