"""Enqueue in a transaction of one's own: the tasks are there once it is committed, and never if it is rolled back.

This is what `app.enqueue(..., connection=connection)` does. Without an application::

    inbox = Inbox("omniq")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO orders ...")
        await inbox.enqueue(connection, [TaskSpec(id="order-1", body=TaskBody(func="shop.send"))])

The tables have to be in the same database. The connection may be one of asyncpg or psycopg, or a connection or session
of SQLAlchemy.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
from typing import TYPE_CHECKING, Any

import attrs

from omniq.errors import ConfigError
from omniq.models.record import Enqueued
from omniq.models.redaction import show
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq.storage.limits import check_specs
from omniq_postgres.rows import body_values
from omniq_postgres.schema import channel_of, in_schema
from omniq_postgres.statements import STAGE
from omniq_postgres.texts import given, kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.models.record import TaskSpec

__all__ = ["MAX_PAYLOAD", "Inbox"]

MAX_PAYLOAD = 32 * 1024 * 1024
_LIMITS = Capabilities(durability=Durability.OS_CRASH, scope=Scope.CLUSTER, max_payload_bytes=MAX_PAYLOAD)
_BODY = ("func", "codec", "headers", "timeout_ms", "result_ttl_ms")


@attrs.frozen
class Inbox:
    """Where callers put tasks in transactions of their own.

    No lock is taken that others could wait for. The first operation of any worker or application after the commit makes
    tasks of them; one whose id or unique key was taken meanwhile by another task is then dropped.

    Attributes:
        schema: The schema of the store.
        notify: Whether the commit wakes idle workers; commits that notify wait for each other. Without it a worker
            finds the tasks within a second.
    """

    schema: str = "omniq"
    notify: bool = True

    async def enqueue(self, connection: Any, specs: Sequence[TaskSpec]) -> list[Enqueued]:
        """Enqueue in the transaction of a connection or session.

        Args:
            connection: Of asyncpg, psycopg or SQLAlchemy. One that blocks is used in a thread meanwhile.
            specs: The tasks.

        Returns:
            As of a task queue, as far as the transaction can see.

        Raises:
            ConfigError: A task cannot be meant so, or this is no such connection.
            LimitExceededError: A task is too large.
            Exception: Whatever the driver raises; its transaction has failed then.
        """
        if not _is_asynchronous(connection):
            return await asyncio.to_thread(self.enqueue_blocking, connection, specs)
        statement, parameters = self._statement(connection, specs)
        if _is_of(connection, "asyncpg"):
            rows = await connection.fetch(statement, *parameters)
        else:
            found = await connection.execute(statement, parameters)
            rows = found.all() if _is_of(connection, "sqlalchemy") else await found.fetchall()
        return _answers(specs, rows)

    def enqueue_blocking(self, connection: Any, specs: Sequence[TaskSpec]) -> list[Enqueued]:
        """Do the same in the transaction of a blocking connection or session of psycopg or SQLAlchemy."""
        if _is_asynchronous(connection):
            msg = f"connection: {show(connection)} is asynchronous. Use: await inbox.enqueue(connection, specs)"
            raise ConfigError(msg)
        statement, parameters = self._statement(connection, specs)
        found = connection.execute(statement, parameters)
        return _answers(specs, found.all() if _is_of(connection, "sqlalchemy") else found.fetchall())

    def _statement(self, connection: object, specs: Sequence[TaskSpec]) -> tuple[Any, Any]:
        check_specs(specs, _LIMITS)
        document = json.dumps([_document(spec) for spec in specs])
        channel = channel_of(self.schema) if self.notify else None
        if _is_of(connection, "sqlalchemy"):
            from sqlalchemy import text  # type: ignore[import-not-found,unused-ignore]

            named = STAGE.format(specs="CAST(:specs AS json)", channel="CAST(:channel AS text)")
            return text(in_schema(named, self.schema)), {"specs": document, "channel": channel}
        marks = ("$1", "$2") if _is_of(connection, "asyncpg") else ("%s", "%s")
        statement = STAGE.format(specs=f"{marks[0]}::json", channel=f"{marks[1]}::text")
        return in_schema(statement, self.schema), (document, channel)


def _is_asynchronous(connection: Any) -> bool:
    if _is_of(connection, "asyncpg"):
        return True
    if _is_of(connection, "psycopg") or _is_of(connection, "sqlalchemy"):
        return inspect.iscoroutinefunction(getattr(connection, "execute", None))
    msg = (
        f"connection: {show(connection)} is no connection of asyncpg or psycopg, and no connection or session of "
        "SQLAlchemy. Give the one that your transaction runs on."
    )
    raise ConfigError(msg)


def _is_of(connection: object, driver: str) -> bool:
    return any(cls.__module__.partition(".")[0] == driver for cls in type(connection).__mro__)


def _document(spec: TaskSpec) -> dict[str, Any]:
    return {
        "id": kept(spec.id),
        "queue": kept(spec.queue),
        "priority": spec.priority,
        "eta": spec.eta,
        "max_attempts": spec.max_attempts,
        "unique_key": kept(spec.unique_key),
        "expires_at": spec.expires_at,
        "interval_ms": spec.interval_ms,
        "series_id": kept(spec.series_id),
        "nominal_at": spec.nominal_at,
        "pinned": spec.pinned,
        **dict(zip(_BODY, body_values(spec.body), strict=False)),
        "args": base64.b64encode(spec.body.args).decode(),
        "kwargs": base64.b64encode(spec.body.kwargs).decode(),
    }


def _answers(specs: Sequence[TaskSpec], rows: Sequence[Any]) -> list[Enqueued]:
    return [
        Enqueued(spec.id, created=True) if row[0] is None else Enqueued(given(row[0]), created=False)
        for spec, row in zip(specs, rows, strict=True)
    ]
