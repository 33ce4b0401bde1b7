"""The hooks of the SQLite backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig, BackendInfo
from omniq.storage.hookspecs import hookimpl
from omniq_sqlite.options import SQLiteOptions

if TYPE_CHECKING:
    from omniq_sqlite.connection import Database
    from omniq_sqlite.events import SQLiteEventStorage
    from omniq_sqlite.results import SQLiteResultStorage
    from omniq_sqlite.schedules import SQLiteScheduleStorage
    from omniq_sqlite.task_queue import SQLiteTaskQueue


@hookimpl
def omniq_backend_info() -> BackendInfo:
    return BackendInfo(
        name="sqlite",
        distribution="omniq-sqlite",
        roles=frozenset(Role),
        api_version=(1, 0),
        default_url="omniq.db",
        options=SQLiteOptions,
        description="One file, one host, ACID; the default.",
    )


@hookimpl
def omniq_create_task_queue(config: BackendConfig) -> SQLiteTaskQueue:
    from omniq_sqlite.task_queue import SQLiteTaskQueue

    return SQLiteTaskQueue(_database(config))


@hookimpl
def omniq_create_result_storage(config: BackendConfig) -> SQLiteResultStorage:
    from omniq_sqlite.results import SQLiteResultStorage

    return SQLiteResultStorage(_database(config))


@hookimpl
def omniq_create_event_storage(config: BackendConfig) -> SQLiteEventStorage:
    from omniq_sqlite.events import SQLiteEventStorage

    return SQLiteEventStorage(_database(config))


@hookimpl
def omniq_create_schedule_storage(config: BackendConfig) -> SQLiteScheduleStorage:
    from omniq_sqlite.schedules import SQLiteScheduleStorage

    return SQLiteScheduleStorage(_database(config))


def _database(config: BackendConfig) -> Database:
    from omniq_sqlite.connection import Database

    return config.share("database", lambda: Database(SQLiteOptions.read(config)))
