"""The result storage role on stores that promise nothing but to keep objects."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, TypeVar

from omniq.errors import ConnectionLostError, OutcomeUnknownError
from omniq.models.redaction import redact_text
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq.storage.limits import check_results
from omniq.storage.results import ResultStorage
from omniq.storage.shared import Shared, SharedRole
from omniq_file.failures import mapping
from omniq_file.payloads import in_thread
from omniq_file.result_place import ResultPlace

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Sequence

    from omniq.models.result import ResultRecord
    from omniq_file.options import FileOptions

__all__ = ["ObjectResultStorage", "ResultObjects"]

T = TypeVar("T")


class ResultObjects(Shared):
    """Opens the place where outcomes are.

    Args:
        options: Where, and how to get there.
    """

    def __init__(self, options: FileOptions) -> None:
        self._options = options
        self.shown = redact_text(options.fsspec_uri or "")
        super().__init__(f"result storage at {self.shown}")
        self._place: ResultPlace | None = None
        self._turn = asyncio.Lock()

    async def connect(self) -> Capabilities:
        """Find out whether the store can be reached."""
        self._turn = asyncio.Lock()
        key = self._options.signing_key or os.environ.get("OMNIQ_SIGNING_KEY")
        with mapping(f"Opening {self.shown}"):
            self._place = await in_thread(ResultPlace, self._options, key)
            await in_thread(self._place.check)
        protocol = self._options.protocol
        return Capabilities(
            durability=Durability.NONE if protocol == "memory" else Durability.PROCESS_CRASH,
            scope=Scope.PROCESS if protocol == "memory" else Scope.CLUSTER,
            push=False,
            clock_error_ms=0 if protocol == "memory" else 1500,
            server_version=f"{protocol} objects, results alone, {self._options.serialization_format or 'json'}",
        )

    async def disconnect(self) -> None:
        """Let the threads go."""
        place, self._place = self._place, None
        if place is not None:
            await in_thread(place.close)

    async def run(self, what: str, function: Callable[[ResultPlace], T]) -> T:
        """Run a function in a thread."""
        place = self._place
        if place is None:
            raise self.closed()
        async with self._turn if place.takes_turns else contextlib.nullcontext():
            try:
                with mapping(f"{what} {self.shown}"):
                    return await in_thread(function, place)
            except ConnectionLostError as error:
                if what == "Writing to":
                    raise OutcomeUnknownError(f"{error} It is unknown what came through.") from error
                raise


class ObjectResultStorage(SharedRole[ResultObjects], ResultStorage):
    """An object for each outcome.

    Args:
        options: Where, and how to get there.
    """

    def __init__(self, options: FileOptions) -> None:
        super().__init__(ResultObjects(options))

    async def put(self, records: Sequence[ResultRecord], *, now: int | None = None) -> builtins.list[bool]:
        check_results(records, self.opened.capabilities)
        return await self._run("Writing to", lambda place: place.put(records, _now(now)))

    async def get(self, ids: Sequence[str], *, now: int | None = None) -> builtins.list[ResultRecord | None]:
        return await self._run("Reading", lambda place: place.get(ids, _now(now)))

    async def delete(self, ids: Sequence[str]) -> builtins.list[bool]:
        return await self._run("Writing to", lambda place: place.delete(ids))

    async def list(
        self, *, after: str | None = None, limit: int = 100, now: int | None = None
    ) -> builtins.list[ResultRecord]:
        return await self._run("Reading", lambda place: place.page(after, limit, _now(now)))

    async def purge_expired(self, limit: int = 1000, *, now: int | None = None) -> int:
        return await self._run("Writing to", lambda place: place.purge_expired(limit, _now(now)))

    async def _run(self, what: str, function: Callable[[ResultPlace], T]) -> T:
        return await self.opened.run(what, function)


def _now(given: int | None) -> int:
    return time.time_ns() // 1_000_000 if given is None else given
