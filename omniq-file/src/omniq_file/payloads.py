"""Payloads that are too large for the log: each is a blob of its own, written before the entry that names it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from omniq.errors import StoreFormatError
from omniq_file.machine.stored import UNREADABLE, StoredBody, StoredResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from omniq.models.record import TaskBody
    from omniq.models.result import ResultRecord
    from omniq_file.engine import Engine

__all__ = ["Outgoing", "bodies_of", "is_large", "values_of"]

T = TypeVar("T")

LARGEST = 4096
"""Bytes of a payload that is in the log itself."""


def is_large(body: TaskBody) -> bool:
    """Tell whether a body is a blob of its own."""
    size = len(body.args) + len(body.kwargs)
    if body.headers and size <= LARGEST:
        size += sum(len(name) + len(value) for name, value in body.headers.items())
    return size > LARGEST


class Outgoing:
    """The blobs of one call.

    Args:
        engine: Of the store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bodies: dict[int, StoredBody] = {}
        self._blobs: list[tuple[str, bytes]] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the blobs."""
        return tuple(name for name, _ in self._blobs)

    def body(self, body: TaskBody) -> TaskBody:
        """Return what the log has of a body; one that several tasks of the call share is written once."""
        if not is_large(body):
            return body
        stored = self._bodies.get(id(body))
        if stored is None:
            blob = self._add(self._engine.format.dump_body(body))
            stored = self._bodies[id(body)] = StoredBody(
                func=body.func,
                args=b"",
                kwargs=b"",
                codec=body.codec,
                timeout_ms=body.timeout_ms,
                result_ttl_ms=body.result_ttl_ms,
                blob=blob,
                size=len(body.args) + len(body.kwargs),
            )
        return stored

    def result(self, record: ResultRecord | None) -> ResultRecord | None:
        """Return what the log has of an outcome."""
        if record is None or record.value is None or len(record.value) <= LARGEST:
            return record
        fields = attrs.asdict(record, recurse=False)
        blob = self._add(self._engine.format.value(record.value))
        return StoredResult(**{**fields, "value": None}, blob=blob, size=len(record.value))

    async def write(self) -> None:
        """Write the blobs."""
        if self._blobs:
            await in_thread(self._engine.medium.write_blobs, self._blobs)

    def _add(self, data: bytes) -> str:
        name = secrets.token_hex(16)
        self._blobs.append((name, data))
        return name


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function that waits for a disk or a network."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


async def bodies_of(engine: Engine, bodies: Iterable[TaskBody]) -> dict[str, TaskBody]:
    """Read the blobs of bodies, by name; what cannot be read is left out."""
    stored = {body.blob: body for body in bodies if type(body) is StoredBody}
    if not stored:
        return {}
    found: dict[str, TaskBody] = {}
    for body, data in zip(stored.values(), await _read(engine, list(stored)), strict=True):
        try:
            if data is not None:
                found[body.blob] = engine.format.load_body(data, body)
        except StoreFormatError:
            found[body.blob] = UNREADABLE
    return found


async def values_of(engine: Engine, records: Iterable[ResultRecord | None]) -> dict[str, bytes]:
    """Read the blobs of outcomes, by name; what is not there is left out.

    Raises:
        StoreFormatError: One of them is not what was written.
    """
    names = [record.blob for record in records if type(record) is StoredResult]
    if not names:
        return {}
    data = await _read(engine, names)
    return {name: engine.format.read_value(each) for name, each in zip(names, data, strict=True) if each is not None}


async def _read(engine: Engine, names: Sequence[str]) -> list[bytes | None]:
    return await in_thread(engine.medium.read_blobs, names)
