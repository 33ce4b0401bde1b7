"""The hooks of the file backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig, BackendInfo
from omniq.storage.hookspecs import hookimpl
from omniq_file.options import FileOptions

if TYPE_CHECKING:
    from omniq_file.events import FileEventStorage
    from omniq_file.result_objects import ObjectResultStorage
    from omniq_file.results import FileResultStorage
    from omniq_file.schedules import FileScheduleStorage
    from omniq_file.task_queue import FileTaskQueue


@hookimpl
def omniq_backend_info() -> BackendInfo:
    return BackendInfo(
        name="file",
        distribution="omniq-file",
        roles=frozenset(Role),
        api_version=(1, 0),
        default_url="omniq_data",
        options=FileOptions,
        description="A folder that people can read, one host; or an object store, for many.",
    )


@hookimpl
def omniq_create_task_queue(config: BackendConfig) -> FileTaskQueue:
    from omniq_file.task_queue import FileTaskQueue

    return FileTaskQueue(FileOptions.read(config))


@hookimpl
def omniq_create_result_storage(config: BackendConfig) -> FileResultStorage | ObjectResultStorage:
    options = FileOptions.read(config)
    if options.has_no_log:
        from omniq_file.result_objects import ObjectResultStorage

        return ObjectResultStorage(options)
    from omniq_file.results import FileResultStorage

    return FileResultStorage(options)


@hookimpl
def omniq_create_event_storage(config: BackendConfig) -> FileEventStorage:
    from omniq_file.events import FileEventStorage

    return FileEventStorage(FileOptions.read(config))


@hookimpl
def omniq_create_schedule_storage(config: BackendConfig) -> FileScheduleStorage:
    from omniq_file.schedules import FileScheduleStorage

    return FileScheduleStorage(FileOptions.read(config))
