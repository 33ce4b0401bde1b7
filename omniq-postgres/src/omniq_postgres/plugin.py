"""The hooks of the PostgreSQL backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig, BackendInfo
from omniq.storage.hookspecs import hookimpl
from omniq_postgres.options import PostgresOptions

if TYPE_CHECKING:
    from omniq_postgres.database import Database
    from omniq_postgres.events import PostgresEventStorage
    from omniq_postgres.results import PostgresResultStorage
    from omniq_postgres.schedules import PostgresScheduleStorage
    from omniq_postgres.task_queue import PostgresTaskQueue


@hookimpl
def omniq_backend_info() -> BackendInfo:
    return BackendInfo(
        name="postgres",
        distribution="omniq-postgres",
        roles=frozenset(Role),
        api_version=(1, 0),
        default_url="postgresql://localhost:5432/omniq",
        options=PostgresOptions,
        description="A PostgreSQL database: one system of record, for many machines.",
    )


@hookimpl
def omniq_create_task_queue(config: BackendConfig) -> PostgresTaskQueue:
    from omniq_postgres.task_queue import PostgresTaskQueue

    return PostgresTaskQueue(_database(config))


@hookimpl
def omniq_create_result_storage(config: BackendConfig) -> PostgresResultStorage:
    from omniq_postgres.results import PostgresResultStorage

    return PostgresResultStorage(_database(config))


@hookimpl
def omniq_create_event_storage(config: BackendConfig) -> PostgresEventStorage:
    from omniq_postgres.events import PostgresEventStorage

    return PostgresEventStorage(_database(config))


@hookimpl
def omniq_create_schedule_storage(config: BackendConfig) -> PostgresScheduleStorage:
    from omniq_postgres.schedules import PostgresScheduleStorage

    return PostgresScheduleStorage(_database(config))


def _database(config: BackendConfig) -> Database:
    from omniq_postgres.database import Database

    return config.share("database", lambda: Database(PostgresOptions.read(config), config.project_name))
