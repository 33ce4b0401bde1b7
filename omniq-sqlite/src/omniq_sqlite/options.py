"""The options of the SQLite backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from omniq.errors import ConfigError
from omniq.storage.options import LOCATOR, parse_options, path_from_url

if TYPE_CHECKING:
    from omniq.storage.backend import BackendConfig

__all__ = ["SQLiteOptions"]


@attrs.frozen(kw_only=True)
class SQLiteOptions:
    """What may stand in the `config` of an SQLite backend.

    Attributes:
        path: The database file; usually given as the url.
        timeout: Seconds to wait for another process's write lock.
        journal_mode: SQLite's journal mode; WAL lets readers and the writer work side by side.
        synchronous: NORMAL survives a crash of the process; FULL also a crash of the system or a loss of power.
        cache_size: Of the writing connection: pages if positive, KiB if negative, as SQLite's pragma.
        allow_network_fs: Open a file on a network file system all the same; SQLite's locks are unreliable there.
        checkpoint: `external` leaves checkpoints of the write-ahead log to another program, such as a replicator.
    """

    path: Path = attrs.field(default=Path("omniq.db"), metadata=LOCATOR)
    timeout: float = attrs.field(default=30.0, validator=attrs.validators.ge(0))
    journal_mode: Literal["WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY"] = "WAL"
    synchronous: Literal["OFF", "NORMAL", "FULL", "EXTRA"] = "NORMAL"
    cache_size: int = -16000
    allow_network_fs: bool = False
    checkpoint: Literal["auto", "external"] = "auto"

    @classmethod
    def read(cls, config: BackendConfig) -> SQLiteOptions:
        """Read what a creation hook received.

        Raises:
            ConfigError: An option is unknown or invalid, or the url is not a file.
        """
        return parse_options(cls, config, split_url=_split)


def _split(url: str) -> dict[str, object]:
    path = path_from_url(url, "sqlite")
    if ":memory:" in str(path):
        msg = (
            f"url: {url!r}: an SQLite database in memory is lost with its connection and cannot be shared. "
            "Use backend_type='memory'."
        )
        raise ConfigError(msg)
    return {"path": path}
