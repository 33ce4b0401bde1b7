"""The command `omniq migrate`, and the checks of `omniq doctor`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from omniq.storage.hookspecs import hookimpl

if TYPE_CHECKING:
    from omniq.storage.upkeep import Finding
    from omniq_postgres.role import PostgresRole

__all__: list[str] = []


@hookimpl
def omniq_register_commands(cli: Any) -> None:
    """Add `omniq migrate`."""
    import click

    @cli.command("migrate", short_help="Make or migrate the schema of a PostgreSQL store.")  # type: ignore[untyped-decorator]
    @click.option(
        "--url", envvar="OMNIQ_TASK_QUEUE_URL", default="postgresql://localhost:5432/omniq", help="The database."
    )
    @click.option(
        "--schema",
        envvar="OMNIQ_MIGRATE_SCHEMA",
        show_envvar=True,
        help="The option `schema` of the backend; else the project's name decides.",
    )
    @click.option(
        "--project",
        envvar="OMNIQ_PROJECT_NAME",
        show_envvar=True,
        default="omniq",
        help="The name of the project.",
    )
    @click.option(
        "--sql",
        is_flag=True,
        envvar="OMNIQ_MIGRATE_SQL",
        show_envvar=True,
        help="Print the statements instead of running them.",
    )
    @click.option(
        "--json", "as_json", is_flag=True, envvar="OMNIQ_JSON", show_envvar=True, help="Print JSON and nothing else."
    )
    def migrate_command(url: str, schema: str | None, project: str, *, sql: bool, as_json: bool) -> None:
        """Bring the schema of a PostgreSQL store to the format of this version.

        Everything happens in one transaction, and running it twice, or at several places at once, is harmless. With
        --sql it prints what it would do for a database that has no such schema yet.
        """
        from omniq.storage.backend import BackendConfig
        from omniq_postgres.options import PostgresOptions
        from omniq_postgres.schema import FORMAT, schema_of, script

        config = BackendConfig(backend_type="postgres", url=url, options={"schema": schema} if schema else {})
        options = PostgresOptions.read(config)
        name = options.schema or schema_of(project)
        if sql:
            statements = f"BEGIN;\n{script(name)}\nCOMMIT;"
            click.echo(json.dumps({"schema": name, "sql": statements}) if as_json else statements)
            return
        before = asyncio.run(_migrate(options, name))
        done = f"migrated from format {before} to {FORMAT}" if before < FORMAT else f"has format {FORMAT} already"
        told = {"schema": name, "format": FORMAT, "migrated_from": before}
        click.echo(json.dumps(told) if as_json else f"The schema {name} {done}.")


async def _migrate(options: Any, schema: str) -> int:
    from omniq_postgres.pool import connected, release
    from omniq_postgres.schema import migrate, read_format

    connection = await connected(options)
    try:
        before, _ = await read_format(connection, schema)
        await migrate(connection, schema, where=f"{options.host}:{options.port}")
        return before
    finally:
        await release(connection)


@hookimpl
async def omniq_doctor_checks(app: Any) -> list[Finding]:
    """Look at each PostgreSQL database once."""
    stores = app.stores
    storages = (stores.task_queue, stores.results, stores.events, stores.schedules)
    # By name, because importing the classes would import the driver, also where nobody uses it.
    ours = [cast("PostgresRole", each) for each in storages if type(each).__module__.startswith("omniq_postgres.")]
    if not ours:
        return []
    from omniq_postgres.doctor import examine

    databases = {id(role.shared): role.shared for role in ours}
    return [finding for database in databases.values() for finding in await examine(database)]
