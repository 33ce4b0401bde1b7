"""The options of the PostgreSQL backend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from omniq.errors import ConfigError
from omniq.storage.options import LOCATOR, parse_options

if TYPE_CHECKING:
    from omniq.storage.backend import BackendConfig

__all__ = ["PostgresOptions"]

_SCHEMES = ("postgresql", "postgres")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@attrs.frozen(kw_only=True)
class PostgresOptions:
    """What may stand in the `config` of a PostgreSQL backend.

    Attributes:
        host: Where the server is; a path is the folder of its Unix socket.
        port: Its port.
        database: The name of the database, which has to exist.
        username: Who logs in; the system's user if left out.
        password: Of the user; `PGPASSWORD` and `~/.pgpass` count if left out.
        min_connections: Connections that are made when the store is opened.
        max_connections: The most connections for operations; one more listens for wake-ups.
        schema: The schema that has all tables; if left out, it is made from the name of the project.
        ssl: How to encrypt, as libpq's `sslmode`.
        ssl_ca: Certificates of the authorities to trust, instead of the system's.
        ssl_cert: The client's own certificate.
        ssl_key: The client's own key.
        listen_dsn: A url that goes to the server directly, for wake-ups, if the url goes through a pooler; `off` does
            without, and waits look once a second.
        statement_cache_size: Prepared statements kept for each connection; 0 behind a pooler that does not know them
            (PgBouncer before 1.21 in transaction mode), at the price of a transaction for every operation.
        connect_timeout: Seconds for a connection to be made.
        statement_timeout: Seconds for a statement to be answered.
        migrate: Make and migrate the schema when the store is opened; if not, `omniq migrate` has to be run.
        application_name: How the connections are called in `pg_stat_activity`.
    """

    host: str = attrs.field(default="localhost", metadata=LOCATOR)
    port: int = attrs.field(default=5432, metadata=LOCATOR)
    database: str = attrs.field(default="omniq", metadata=LOCATOR)
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    min_connections: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    max_connections: int = attrs.field(default=10, validator=attrs.validators.gt(0))
    schema: str | None = None
    ssl: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    ssl_ca: Path | None = None
    ssl_cert: Path | None = None
    ssl_key: Path | None = None
    listen_dsn: str | None = attrs.field(default=None, repr=False)
    statement_cache_size: int = attrs.field(default=200, validator=attrs.validators.ge(0))
    connect_timeout: float = attrs.field(default=5.0, validator=attrs.validators.gt(0))
    statement_timeout: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))
    migrate: bool = True
    application_name: str = "omniq"

    def __attrs_post_init__(self) -> None:
        if self.min_connections > self.max_connections:
            raise ConfigError(
                f"min_connections: {self.min_connections} is more than max_connections, {self.max_connections}."
            )
        if self.schema is not None and _NAME.fullmatch(self.schema) is None:
            raise ConfigError(
                f"schema: {self.schema!r} is no plain name. Use at most 63 letters, digits and underscores, no digit "
                "first."
            )
        if self.listen_dsn not in {None, "off"}:
            try:
                _split(self.listen_dsn or "")
            except ConfigError as error:
                raise ConfigError(f"listen_dsn: {str(error).removeprefix('url: ')}, or 'off'") from error

    @classmethod
    def read(cls, config: BackendConfig) -> PostgresOptions:
        """Read what a creation hook received.

        Raises:
            ConfigError: An option is unknown or invalid, or the url is not one of PostgreSQL.
        """
        return parse_options(cls, config, split_url=_split)

    @property
    def for_listening(self) -> PostgresOptions | None:
        """How to connect for wake-ups; None if that is switched off."""
        if self.listen_dsn == "off":
            return None
        if self.listen_dsn is None:
            return self
        given: dict[str, Any] = {name: value for name, value in _split(self.listen_dsn).items() if value is not None}
        return attrs.evolve(self, **given)


def _split(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ConfigError(
            "url: it does not start with postgresql://. Write postgresql://user:password@localhost:5432/database"
        )
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    host, ssl = query.pop("host", None), query.pop("sslmode", None)
    if query or parts.fragment:
        raise ConfigError(
            f"url: its query has {', '.join(sorted(query)) or 'a fragment'}; only host and sslmode may be there. "
            "Give options in config={...} instead"
        )
    database = unquote(parts.path.removeprefix("/"))
    return {
        "host": host or parts.hostname,
        "port": parts.port,
        "database": database or None,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "ssl": ssl,
    }
