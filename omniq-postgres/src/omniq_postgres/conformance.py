"""How the conformance suite opens this backend; needs omniq-conformance."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import asyncpg  # type: ignore[import-untyped]

from omniq.storage.backend import BackendConfig
from omniq_conformance import Harness, OpenedStores, open_plugin
from omniq_conformance.servers import PrivateServer
from omniq_postgres import plugin
from omniq_postgres.conformance_schemas import ReusedSchemas
from omniq_postgres.schema import FORMAT, in_schema, script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = ["PostgresHarness"]

_GOLDEN = Path(__file__).parents[2] / "golden"  # in the source tree, and not in the wheel
_SAVED = "schema.json"
_FORMAT = "SELECT value FROM omniq.meta WHERE key = 'format'"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY tablename"
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = $1 ORDER BY sequencename"
_STORED = {
    "tasks": "SELECT id FROM omniq.task",
    "heads": "SELECT id FROM omniq.head",
    "results": "SELECT id FROM omniq.result",
    "schedules": "SELECT id FROM omniq.schedule",
    "events": "SELECT task || '/' || version FROM omniq.event",
    "outbox": "SELECT task || '/' || version FROM omniq.outbox",
    "paused queues": "SELECT queue FROM omniq.paused",
}


class PostgresHarness(Harness):
    """A namespace is a schema; one after the other may be the same, on a server that the run has started."""

    backend = "postgres"
    server_kind: ClassVar[str | None] = "postgres"
    # The suite makes thousands of schemas; a server that was killed would go through all of them to recover.
    server_options: ClassVar[Mapping[str, Any]] = {"checkpoint_timeout": "30s", "recovery_init_sync_method": "syncfs"}
    golden = _GOLDEN if _GOLDEN.is_dir() else None

    def __init__(self, url: str | None = None) -> None:
        super().__init__(url)
        self._reused: ReusedSchemas | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        if isinstance(self.server, PrivateServer):
            self._reused = ReusedSchemas(self.server.url)
        return self

    async def schema(self, namespace: str) -> str:
        """Return the schema of a namespace."""
        return await self._reused.of(namespace) if self._reused else namespace.replace("-", "_")

    async def open(self, namespace: str) -> OpenedStores:
        """Return a handle on the schema of the namespace."""
        options = {"schema": await self.schema(namespace)}
        return await open_plugin(plugin, BackendConfig(backend_type="postgres", url=self.url, options=options))

    async def destroy(self, namespace: str) -> None:
        """Remove the schema, or leave it to another namespace."""
        if self._reused:
            await self._reused.free(namespace)
        else:
            await self._run(f'DROP SCHEMA IF EXISTS "{await self.schema(namespace)}" CASCADE', namespace)

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Read the tables."""
        return {name: [str(row[0]) for row in await self._run(query, namespace)] for name, query in _STORED.items()}

    async def save(self, namespace: str, folder: Path) -> None:
        """Copy the tables as PostgreSQL writes them as text, and note the sequences."""
        connection = await asyncpg.connect(self.url)
        schema = await self.schema(namespace)
        try:
            tables = [row[0] for row in await connection.fetch(_TABLES, schema)]
            sequences = {
                row[0]: tuple(await connection.fetchrow(f'SELECT last_value, is_called FROM "{schema}"."{row[0]}"'))
                for row in await connection.fetch(_SEQUENCES, schema)
            }
            stored = await connection.fetchval(in_schema(_FORMAT, schema))
            (folder / _SAVED).write_text(json.dumps({"format": int(stored), "tables": tables, "sequences": sequences}))
            for table in tables:
                await connection.copy_from_table(table, schema_name=schema, output=folder / f"{table}.tsv")
        finally:
            await connection.close()

    async def restore(self, namespace: str, folder: Path) -> None:
        """Make the schema that the format had, and fill it."""
        connection = await asyncpg.connect(self.url)
        schema = await self.schema(namespace)
        saved = json.loads((folder / _SAVED).read_text())
        try:
            async with connection.transaction():
                await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
                await connection.execute(script(schema, upto=saved["format"]))
                await connection.execute(in_schema("DELETE FROM omniq.meta", schema))
                for table in saved["tables"]:
                    await connection.copy_to_table(table, schema_name=schema, source=folder / f"{table}.tsv")
                for name, (last, is_called) in saved["sequences"].items():
                    await connection.execute("SELECT setval($1::text, $2, $3)", f'"{schema}"."{name}"', last, is_called)
        finally:
            await connection.close()

    async def make_newer(self, namespace: str) -> None:
        """Raise the numbers of the format."""
        await self._run(
            f"UPDATE omniq.meta SET value = '{FORMAT + 1}' WHERE key IN ('format', 'min_writer')", namespace
        )

    @asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[asyncpg.Connection]:
        """Begin one of asyncpg; every schema is in the same database."""
        del namespace
        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction():
                yield connection
        finally:
            await connection.close()

    async def _run(self, statement: str, namespace: str) -> list[Any]:
        schema = await self.schema(namespace)
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(in_schema(statement, schema)))
        finally:
            await connection.close()
