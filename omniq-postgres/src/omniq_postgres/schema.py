"""Make the schema, migrate it, and refuse one that this version cannot work with."""

from __future__ import annotations

import hashlib
import re
import secrets
from importlib.resources import files
from typing import TYPE_CHECKING

from omniq.errors import StoreFormatError
from omniq_postgres.failures import NETWORK, mapped

if TYPE_CHECKING:
    from asyncpg import Connection  # type: ignore[import-untyped]

__all__ = [
    "FORMAT",
    "MIN_READER",
    "MIN_WRITER",
    "channel_of",
    "in_schema",
    "migrate",
    "read_format",
    "schema_of",
    "script",
]

FORMAT = 1
"""The newest migration."""
MIN_READER = 1
MIN_WRITER = 1

_LOCK = 1330466386
_SCHEMA = re.compile(r"\bomniq\.")
_ODD = re.compile("[^a-z0-9_]")
_LONGEST = 63
_LOOK = """
SELECT count(*), count(*) FILTER (WHERE c.relname = 'meta' AND c.relkind = 'r')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1
"""


def schema_of(project: str) -> str:
    """Return the name of the schema of a project: `omniq`, or `omniq_` and what can be kept of its name."""
    if project == "omniq":
        return project
    plain = _ODD.sub("_", project.lower())
    if plain != project or len(plain) > _LONGEST - len("omniq_"):
        plain = f"{plain[:40]}_{hashlib.sha256(project.encode(errors='surrogatepass')).hexdigest()[:8]}"
    return f"omniq_{plain}"


def channel_of(schema: str) -> str:
    """Return the channel of a schema's notifications."""
    return f"omniq_{hashlib.sha256(schema.encode()).hexdigest()[:16]}"


def in_schema(text: str, schema: str) -> str:
    """Return a statement, which names everything as `omniq.<name>`, for a schema."""
    return _SCHEMA.sub(lambda _: f'"{schema}".', text)


def script(schema: str, *, after: int = 0, upto: int = FORMAT) -> str:
    """Return the migrations that come after a format, as one script for a schema; all in one transaction."""
    parts = [f'CREATE SCHEMA IF NOT EXISTS "{schema}";']
    for number in range(after + 1, upto + 1):
        folder = files("omniq_postgres").joinpath("migrations", f"{number:04}")
        parts += [entry.read_text("utf-8") for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)]
    numbers = {"format": upto, "min_reader": MIN_READER, "min_writer": MIN_WRITER}
    values = ", ".join(f"('{key}', '{value}')" for key, value in numbers.items())
    parts += [
        f"INSERT INTO omniq.meta (key, value) VALUES {values} ON CONFLICT (key) DO UPDATE SET value = excluded.value;",
        f"INSERT INTO omniq.meta (key, value) VALUES ('identity', '{secrets.token_hex(16)}') ON CONFLICT DO NOTHING;",
    ]
    return in_schema("\n".join(parts), schema)


async def read_format(connection: Connection, schema: str) -> tuple[int, str]:
    """Return the format that a schema has, 0 if there is none, and the identity of the store.

    Raises:
        StoreFormatError: A newer version has changed it, or it is something else's.
    """
    relations, meta = await connection.fetchrow(_LOOK, schema)
    if not meta:
        if relations:
            raise StoreFormatError(
                f"The schema {schema!r} has {relations} tables and indexes of something else. Give OmniQ another "
                "`schema`."
            )
        return 0, ""
    found = dict(await connection.fetch(in_schema("SELECT key, value FROM omniq.meta", schema)))
    if int(found["format"]) > FORMAT and int(found["min_writer"]) > FORMAT:
        raise StoreFormatError(
            f"The schema {schema!r} has format {found['format']}, which needs a writer of at least format "
            f"{found['min_writer']}; this omniq-postgres writes format {FORMAT}. Upgrade with: "
            "pip install --upgrade omniq-postgres"
        )
    return int(found["format"]), found["identity"]


async def migrate(connection: Connection, schema: str, *, where: str) -> str:
    """Bring a schema to this version's format, in one transaction; safe with several processes.

    Returns:
        The identity of the store.

    Raises:
        StoreFormatError: A newer version has changed it, or it is something else's.
    """
    try:
        stored, identity = await read_format(connection, schema)
        if stored >= FORMAT:
            return identity
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK, schema)
            stored, identity = await read_format(connection, schema)
            if stored < FORMAT:
                await connection.execute(script(schema, after=stored))
        return (await read_format(connection, schema))[1]
    except NETWORK as error:
        raise mapped(error, where, changes=True) from error
