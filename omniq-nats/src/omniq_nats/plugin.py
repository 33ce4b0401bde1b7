"""The hooks of the NATS backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig, BackendInfo
from omniq.storage.hookspecs import hookimpl
from omniq_nats.options import NatsOptions

if TYPE_CHECKING:
    from omniq_nats.events import NatsEventStorage
    from omniq_nats.results import NatsResultStorage
    from omniq_nats.schedules import NatsScheduleStorage
    from omniq_nats.store import Store
    from omniq_nats.task_queue import NatsTaskQueue


@hookimpl
def omniq_backend_info() -> BackendInfo:
    return BackendInfo(
        name="nats",
        distribution="omniq-nats",
        roles=frozenset(Role),
        api_version=(1, 0),
        default_url="nats://localhost:4222",
        options=NatsOptions,
        description="A NATS server or cluster with JetStream: for distributed deployments.",
    )


@hookimpl
def omniq_create_task_queue(config: BackendConfig) -> NatsTaskQueue:
    from omniq_nats.task_queue import NatsTaskQueue

    return NatsTaskQueue(_store(config))


@hookimpl
def omniq_create_result_storage(config: BackendConfig) -> NatsResultStorage:
    from omniq_nats.results import NatsResultStorage

    return NatsResultStorage(_store(config))


@hookimpl
def omniq_create_event_storage(config: BackendConfig) -> NatsEventStorage:
    from omniq_nats.events import NatsEventStorage

    return NatsEventStorage(_store(config))


@hookimpl
def omniq_create_schedule_storage(config: BackendConfig) -> NatsScheduleStorage:
    from omniq_nats.schedules import NatsScheduleStorage

    return NatsScheduleStorage(_store(config))


def _store(config: BackendConfig) -> Store:
    from omniq_nats.store import Store

    return config.share("store", lambda: Store(NatsOptions.read(config), config.project_name))
