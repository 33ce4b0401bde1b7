"""One database: opened by several roles, and how statements are run on it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError, OmniQError, StoreFormatError
from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq.storage.shared import Shared
from omniq_postgres.bell import Bell
from omniq_postgres.failures import NETWORK, mapped
from omniq_postgres.pool import Pool, release
from omniq_postgres.schema import FORMAT, channel_of, in_schema, migrate, read_format, schema_of
from omniq_postgres.transactional import MAX_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncpg import Connection, Record  # type: ignore[import-untyped]

    from omniq_postgres.options import PostgresOptions

__all__ = ["Database"]

_OLDEST = 130_000
_SETTINGS = (
    "server_version", "server_version_num", "server_encoding", "fsync", "synchronous_commit",
    "synchronous_standby_names", "default_transaction_isolation",
)  # fmt: skip


class Database(Shared):
    """The database of one namespace, for the roles of one configuration. Belongs to the event loop that opened it.

    Args:
        options: How to reach it.
        project: The project's name.

    Attributes:
        schema: The schema with all tables.
        pool: The connections; new ones whenever it is opened again.
        bell: Hears wake-ups, and sends them.
    """

    def __init__(self, options: PostgresOptions, project: str) -> None:
        super().__init__(f"PostgreSQL backend at {options.host}:{options.port}")
        self.options = options
        self.project = project
        self.schema = options.schema or schema_of(project)
        self.pool = Pool(options)
        self.bell = self._new_bell()

    # Life

    async def connect(self) -> Capabilities:
        """Connect, look at the server and make or migrate the schema.

        Raises:
            ConnectionLostError: The server cannot be reached.
            ConfigError: The server is too old, or its settings will not do.
            StoreFormatError: A newer version of this backend has changed the schema.
        """
        self.pool = Pool(self.options)
        self.bell = self._new_bell()
        first = await self.pool.connect(self.options)
        try:
            capabilities = await self._greet(first)
        except BaseException:
            await release(first)
            raise
        await self.pool.open(first)
        return capabilities

    async def disconnect(self) -> None:
        """Close all connections."""
        await self.bell.close()
        await self.pool.close()

    @property
    def where(self) -> str:
        """The address in messages."""
        return f"{self.options.host}:{self.options.port}"

    # Statements

    async def read(self, statement: str, *arguments: Any) -> list[Record]:
        """Run a statement that changes nothing. It names everything as `omniq.<name>`."""
        self.check_open()
        return await self.pool.fetch(_statement(statement, self.schema), *arguments)

    async def write(self, statement: str, *arguments: Any, kinds: str = "") -> list[Record]:
        """Run a statement that may change something, and ring for these kinds of changes."""
        self.check_open()
        rows = await self.pool.fetch(_statement(statement, self.schema), *arguments, changes=True)
        if kinds:
            self.bell.ring(kinds)
        return rows

    async def time(self) -> int:
        """Return the server's clock in milliseconds since the epoch, UTC."""
        ((at,),) = await self.read("SELECT omniq.now_ms()")
        return int(at)

    # Opening

    def _new_bell(self) -> Bell:
        return Bell(self.options, self.pool, channel_of(self.schema))

    async def _greet(self, connection: Connection) -> Capabilities:
        try:
            settings = await self._settings(connection)
            _check(settings)
            return self._capabilities_of(settings, await self._identity(connection))
        except NETWORK as error:
            raise error if isinstance(error, OmniQError) else mapped(error, self.where, changes=False) from error

    async def _settings(self, connection: Connection) -> Mapping[str, str]:
        rows = await connection.fetch(
            "SELECT name, setting FROM pg_settings WHERE name = ANY ($1)",
            _SETTINGS,
            timeout=self.options.statement_timeout,
        )
        return dict(rows)

    async def _identity(self, connection: Connection) -> str:
        if self.options.migrate:
            return await migrate(connection, self.schema, where=self.where)
        stored, identity = await read_format(connection, self.schema)
        if stored < FORMAT:
            raise StoreFormatError(
                f"The schema {self.schema!r} has format {stored}, this omniq-postgres needs {FORMAT}, and `migrate` "
                "is off. Run: omniq migrate"
            )
        return identity

    def _capabilities_of(self, settings: Mapping[str, str], identity: str) -> Capabilities:
        durability, warnings = _durability(settings)
        if not self.bell.is_push:
            warnings.append("listen_dsn is 'off': waits are not woken, and look once a second.")
        return Capabilities(
            durability=durability,
            scope=Scope.CLUSTER,
            push=self.bell.is_push,
            transaction_domain=f"postgres:{identity}",
            max_wait_ms=1000,
            max_payload_bytes=MAX_PAYLOAD,
            server_version=f"PostgreSQL {settings['server_version']}",
            warnings=tuple(warnings),
        )


@cache
def _statement(text: str, schema: str) -> str:
    return in_schema(text, schema)


def _check(settings: Mapping[str, str]) -> None:
    if int(settings["server_version_num"]) < _OLDEST:
        raise ConfigError(f"PostgreSQL {settings['server_version']} is too old. Upgrade the server to 13 or later.")
    if settings["server_encoding"] != "UTF8":
        raise ConfigError(
            f"The database's encoding is {settings['server_encoding']}. Make one with: "
            "CREATE DATABASE omniq ENCODING 'UTF8'"
        )
    if settings["default_transaction_isolation"] != "read committed":
        raise ConfigError(
            f"default_transaction_isolation is {settings['default_transaction_isolation']!r}; OmniQ needs READ "
            "COMMITTED. Run: ALTER ROLE <user> SET default_transaction_isolation = 'read committed'"
        )


def _durability(settings: Mapping[str, str]) -> tuple[Durability, list[str]]:
    if settings["synchronous_commit"] == "off":
        return Durability.NONE, [
            "synchronous_commit is off: a crash of the server loses what it acknowledged in the last moments."
        ]
    if settings["fsync"] == "off":
        return Durability.PROCESS_CRASH, ["fsync is off: a crash of the server's machine may destroy the database."]
    if settings["synchronous_standby_names"] and settings["synchronous_commit"] != "local":
        return Durability.REPLICATED, []
    return Durability.OS_CRASH, []
