"""The hooks of the LMDB backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig, BackendInfo
from omniq.storage.hookspecs import hookimpl
from omniq_lmdb.options import LmdbOptions

if TYPE_CHECKING:
    from omniq_lmdb.events import LmdbEventStorage
    from omniq_lmdb.results import LmdbResultStorage
    from omniq_lmdb.schedules import LmdbScheduleStorage
    from omniq_lmdb.task_queue import LmdbTaskQueue


@hookimpl
def omniq_backend_info() -> BackendInfo:
    return BackendInfo(
        name="lmdb",
        distribution="omniq-lmdb",
        roles=frozenset(Role),
        api_version=(1, 0),
        default_url="omniq.lmdb",
        options=LmdbOptions,
        description="One LMDB file, one host; an example of a third-party backend",
    )


@hookimpl
def omniq_create_task_queue(config: BackendConfig) -> LmdbTaskQueue:
    from omniq_lmdb.task_queue import LmdbTaskQueue

    return LmdbTaskQueue(LmdbOptions.read(config))


@hookimpl
def omniq_create_result_storage(config: BackendConfig) -> LmdbResultStorage:
    from omniq_lmdb.results import LmdbResultStorage

    return LmdbResultStorage(LmdbOptions.read(config))


@hookimpl
def omniq_create_event_storage(config: BackendConfig) -> LmdbEventStorage:
    from omniq_lmdb.events import LmdbEventStorage

    return LmdbEventStorage(LmdbOptions.read(config))


@hookimpl
def omniq_create_schedule_storage(config: BackendConfig) -> LmdbScheduleStorage:
    from omniq_lmdb.schedules import LmdbScheduleStorage

    return LmdbScheduleStorage(LmdbOptions.read(config))
