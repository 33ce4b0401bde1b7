"""The schemas of a conformance run: used again, as making and dropping one costs more than most cases do."""

from __future__ import annotations

from typing import Any

import asyncpg  # type: ignore[import-untyped]

from omniq_postgres.schema import FORMAT, in_schema

__all__ = ["ReusedSchemas"]

_REST = 16
_LOCK = "SELECT pg_advisory_xact_lock(1330466385, 1)"
_TABLE = """
CREATE TABLE IF NOT EXISTS public.conformance (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, namespace text UNIQUE, freed bigint UNIQUE
)
"""
_OF = "SELECT number FROM public.conformance WHERE namespace = $1"
_RESTED = "SELECT number FROM public.conformance WHERE freed IS NOT NULL ORDER BY freed DESC OFFSET $1"
_TAKE = "UPDATE public.conformance SET namespace = $2, freed = NULL WHERE number = $1"
_ADD = "INSERT INTO public.conformance (namespace) VALUES ($1) RETURNING number"
_FREE = """
UPDATE public.conformance SET namespace = NULL, freed = (SELECT coalesce(max(freed), 0) + 1 FROM public.conformance)
WHERE namespace = $1
"""
_IS_WHOLE = """
SELECT count(*) = 1 FROM omniq.meta WHERE key = 'format' AND value = $1::text
"""
_EMPTY = """
DO $$
DECLARE
    v_name text;
BEGIN
    FOR v_name IN SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' AND tablename <> 'meta' LOOP
        EXECUTE format('DELETE FROM "{schema}".%I', v_name);
    END LOOP;
    PERFORM setval(format('"{schema}".%I', sequencename)::regclass, 1, false)
    FROM pg_sequences WHERE schemaname = '{schema}';
    UPDATE "{schema}".meta SET value = md5(random()::text) WHERE key = 'identity';
END $$
"""


class ReusedSchemas:
    """The schemas of a server that is there for the run only.

    A freed one rests until others have been freed after it, and is emptied when it is taken, so that what a killed
    client had on its way is gone.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: dict[str, str] = {}

    async def of(self, namespace: str) -> str:
        """Return the schema of a namespace, an empty one if it is new; any process gives the same answer."""
        if namespace not in self._known:
            connection = await asyncpg.connect(self._url)
            try:
                async with connection.transaction():
                    self._known[namespace] = await _taken(connection, namespace)
            finally:
                await connection.close()
        return self._known[namespace]

    async def free(self, namespace: str) -> None:
        """Let others have the schema of a namespace."""
        if self._known.pop(namespace, None) is not None:
            connection = await asyncpg.connect(self._url)
            try:
                await connection.execute(_FREE, namespace)
            finally:
                await connection.close()


async def _taken(connection: Any, namespace: str) -> str:
    await connection.execute(f"{_LOCK}; {_TABLE}")
    number = await connection.fetchval(_OF, namespace)
    if number is not None:
        return _name(number)
    for (rested,) in await connection.fetch(_RESTED, _REST):
        if await _is_whole(connection, _name(rested)):
            await connection.execute(_TAKE, rested, namespace)
            await connection.execute(_EMPTY.format(schema=_name(rested)))
            return _name(rested)
        await connection.execute(f'DROP SCHEMA IF EXISTS "{_name(rested)}" CASCADE')
        await connection.execute("DELETE FROM public.conformance WHERE number = $1", rested)
    return _name(await connection.fetchval(_ADD, namespace))


async def _is_whole(connection: Any, schema: str) -> bool:
    """Tell whether this version made the schema or has migrated it."""
    if await connection.fetchval("SELECT to_regclass($1)", f'"{schema}".meta') is None:
        return False
    return bool(await connection.fetchval(in_schema(_IS_WHOLE, schema), str(FORMAT)))


def _name(number: int) -> str:
    return f"conformance_{number}"
