"""The hooks of the Redis backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig, BackendInfo
from omniq.storage.hookspecs import hookimpl
from omniq_redis.options import RedisOptions

if TYPE_CHECKING:
    from omniq_redis.events import RedisEventStorage
    from omniq_redis.results import RedisResultStorage
    from omniq_redis.schedules import RedisScheduleStorage
    from omniq_redis.server import Server
    from omniq_redis.task_queue import RedisTaskQueue


@hookimpl
def omniq_backend_info() -> BackendInfo:
    return BackendInfo(
        name="redis",
        distribution="omniq-redis",
        roles=frozenset(Role),
        api_version=(1, 0),
        default_url="redis://localhost:6379/0",
        options=RedisOptions,
        description="A Redis or Valkey server: fast, for many machines.",
    )


@hookimpl
def omniq_create_task_queue(config: BackendConfig) -> RedisTaskQueue:
    from omniq_redis.task_queue import RedisTaskQueue

    return RedisTaskQueue(_server(config))


@hookimpl
def omniq_create_result_storage(config: BackendConfig) -> RedisResultStorage:
    from omniq_redis.results import RedisResultStorage

    return RedisResultStorage(_server(config))


@hookimpl
def omniq_create_event_storage(config: BackendConfig) -> RedisEventStorage:
    from omniq_redis.events import RedisEventStorage

    return RedisEventStorage(_server(config))


@hookimpl
def omniq_create_schedule_storage(config: BackendConfig) -> RedisScheduleStorage:
    from omniq_redis.schedules import RedisScheduleStorage

    return RedisScheduleStorage(_server(config))


def _server(config: BackendConfig) -> Server:
    from omniq_redis.server import Server

    return config.share("server", lambda: Server(RedisOptions.read(config), config.project_name))
