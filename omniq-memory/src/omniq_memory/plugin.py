"""The memory backend as a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.hookspecs import hookimpl

if TYPE_CHECKING:
    from omniq.storage.backend import BackendConfig, BackendInfo
    from omniq_memory.events import MemoryEventStorage
    from omniq_memory.results import MemoryResultStorage
    from omniq_memory.schedules import MemoryScheduleStorage
    from omniq_memory.task_queue import MemoryTaskQueue


@hookimpl
def omniq_backend_info() -> BackendInfo:
    """Describe the memory backend."""
    from omniq.storage.backend import BackendInfo
    from omniq_memory.options import MemoryOptions

    return BackendInfo(
        name="memory",
        distribution="omniq-memory",
        roles=frozenset(Role),
        api_version=(1, 0),
        options=MemoryOptions,
        description="Inside one process and gone with it: for tests, and for work that may be lost",
    )


@hookimpl
def omniq_create_task_queue(config: BackendConfig) -> MemoryTaskQueue:
    """Make the task queue."""
    from omniq_memory.task_queue import MemoryTaskQueue

    return MemoryTaskQueue.configured(config)


@hookimpl
def omniq_create_result_storage(config: BackendConfig) -> MemoryResultStorage:
    """Make the result storage."""
    from omniq_memory.results import MemoryResultStorage

    return MemoryResultStorage.configured(config)


@hookimpl
def omniq_create_event_storage(config: BackendConfig) -> MemoryEventStorage:
    """Make the event storage."""
    from omniq_memory.events import MemoryEventStorage

    return MemoryEventStorage.configured(config)


@hookimpl
def omniq_create_schedule_storage(config: BackendConfig) -> MemoryScheduleStorage:
    """Make the schedule storage."""
    from omniq_memory.schedules import MemoryScheduleStorage

    return MemoryScheduleStorage.configured(config)
