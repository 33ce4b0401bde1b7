from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig
from omniq_file import plugin
from omniq_file.conformance import S3Harness


class Roles:
    """The four roles of one configuration, as the factory opens them."""

    def __init__(self, url, **options):
        config = BackendConfig(backend_type="file", url=str(url), options=options)
        self.queue = plugin.omniq_create_task_queue(config)
        self.results = plugin.omniq_create_result_storage(config)
        self.events = plugin.omniq_create_event_storage(config)
        self.schedules = plugin.omniq_create_schedule_storage(config)

    @property
    def all(self):
        return (self.queue, self.results, self.events, self.schedules)


@asynccontextmanager
async def opened(url, *, joined=True, **options):
    roles = Roles(url, **options)
    for role in roles.all:
        await role.open()
    if joined:
        roles.queue.join(frozenset(Role) - {Role.TASK_QUEUE})
    try:
        yield roles
    finally:
        for role in reversed(roles.all):
            await role.close()


@pytest.fixture
def open_roles():
    return opened


@pytest.fixture(scope="session")
def s3():
    with S3Harness() as harness:
        yield harness
