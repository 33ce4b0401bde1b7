"""What `omniq doctor` says about the databases that an application uses."""

from __future__ import annotations

import asyncio
import re
import secrets
from importlib.resources import files
from typing import TYPE_CHECKING

from omniq.errors import OmniQError
from omniq.storage.upkeep import Finding, Severity
from omniq_postgres.failures import NETWORK
from omniq_postgres.pool import connected, release
from omniq_postgres.schema import FORMAT

if TYPE_CHECKING:
    from omniq_postgres.database import Database

__all__ = ["examine"]

_OLD_SNAPSHOT_S = 300
_DEAD_SHARE = 0.5
_MANY_DEAD = 10_000
_HEARD_WITHIN = 2.0
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX (\w+) ON omniq\.")
_SNAPSHOTS = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - coalesce(xact_start, query_start))), 0)::float,
    count(*)
FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
    AND clock_timestamp() - coalesce(xact_start, query_start) > make_interval(secs => $1)
"""
_SLOTS = "SELECT coalesce(string_agg(slot_name, ', '), '') FROM pg_replication_slots WHERE NOT active"
_DEAD = """
SELECT relname, n_dead_tup, n_live_tup, pg_total_relation_size(relid) FROM pg_stat_user_tables
WHERE schemaname = $1 ORDER BY n_dead_tup DESC
"""
_INDEXES = """
SELECT c.relname FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND i.indisvalid
"""


async def examine(database: Database) -> list[Finding]:
    """Return what is found about a database that is open."""
    return [
        Finding("postgres version", Severity.OK, database.capabilities.server_version),
        await _format(database),
        await _snapshots(database),
        await _slots(database),
        await _bloat(database),
        await _indexes(database),
        await _listening(database),
    ]


async def _format(database: Database) -> Finding:
    ((stored,),) = await database.read("SELECT value FROM omniq.meta WHERE key = 'format'")
    message = f"schema {database.schema} has format {stored}, this version writes {FORMAT}"
    return Finding("postgres schema", Severity.OK, message)


async def _snapshots(database: Database) -> Finding:
    ((oldest, count),) = await database.read(_SNAPSHOTS, float(_OLD_SNAPSHOT_S))
    if not count:
        return Finding("postgres snapshots", Severity.OK, f"none is older than {_OLD_SNAPSHOT_S} s")
    message = (
        f"{count} transactions keep old rows from being removed, the oldest for {oldest:,.0f} s: claims get slower"
    )
    remedy = "Find them in pg_stat_activity (backend_xmin), end them, and set idle_in_transaction_session_timeout"
    return Finding("postgres snapshots", Severity.WARNING, message, remedy)


async def _slots(database: Database) -> Finding:
    ((names,),) = await database.read(_SLOTS)
    if not names:
        return Finding("postgres replication slots", Severity.OK, "none is left behind")
    remedy = "Drop those that nobody reads any more: SELECT pg_drop_replication_slot('<name>')"
    return Finding("postgres replication slots", Severity.WARNING, f"nobody reads {names}: the disk fills up", remedy)


async def _bloat(database: Database) -> Finding:
    rows = await database.read(_DEAD, database.schema)
    size = sum(row[3] for row in rows)
    worst = [row for row in rows if row[1] > _MANY_DEAD and row[1] > _DEAD_SHARE * row[2]]
    if not worst:
        return Finding("postgres bloat", Severity.OK, f"{size / 2**20:,.0f} MiB in all tables and indexes")
    found = ", ".join(f"{name} ({dead:,} dead of {dead + live:,} rows)" for name, dead, live, _ in worst)
    remedy = f'See whether autovacuum is on and comes through; VACUUM "{database.schema}".{worst[0][0]} does it now'
    return Finding("postgres bloat", Severity.WARNING, found, remedy)


async def _indexes(database: Database) -> Finding:
    there = {row[0] for row in await database.read(_INDEXES, database.schema)}
    missing = sorted(_wanted() - there)
    if not missing:
        return Finding("postgres indexes", Severity.OK, "all are there and valid")
    remedy = "`omniq migrate --sql` prints their definitions; create them, or restore the schema"
    return Finding("postgres indexes", Severity.ERROR, f"missing or invalid: {', '.join(missing)}", remedy)


def _wanted() -> set[str]:
    scripts = files("omniq_postgres").joinpath("migrations").iterdir()
    text = "\n".join(entry.read_text("utf-8") for folder in scripts for entry in folder.iterdir())
    return set(_INDEX.findall(text))


async def _listening(database: Database) -> Finding:
    """Listen and notify as waits do: through a pooler in transaction mode the notification does not come."""
    name, options = "postgres wake-ups", database.options.for_listening
    if options is None:
        return Finding(name, Severity.OK, "listen_dsn is off: waits look once a second")
    channel, heard = f"omniq_doctor_{secrets.token_hex(8)}", asyncio.Event()
    try:
        connection = await connected(options)
        try:
            await connection.add_listener(channel, lambda *_: heard.set())
            await database.read("SELECT pg_notify($1, '')", channel)
            async with asyncio.timeout(_HEARD_WITHIN):
                await heard.wait()
        finally:
            await release(connection)
    except (OmniQError, *NETWORK) as error:
        what = str(error) or f"not heard within {_HEARD_WITHIN:.0f} s"
        remedy = "Is there a pooler between? Give listen_dsn a url that goes to the server directly"
        return Finding(name, Severity.WARNING, f"a notification was lost ({what}): waits look once a second", remedy)
    return Finding(name, Severity.OK, "a notification was heard")
