from __future__ import annotations

import secrets
from contextlib import asynccontextmanager

import asyncpg
import pytest

from omniq.models.config import Role
from omniq.storage.backend import BackendConfig
from omniq_conformance import servers
from omniq_postgres import plugin


class Roles:
    """The four roles of one configuration, as the factory opens them."""

    def __init__(self, url, **options):
        config = BackendConfig(backend_type="postgres", url=url, options=options)
        self.queue = plugin.omniq_create_task_queue(config)
        self.results = plugin.omniq_create_result_storage(config)
        self.events = plugin.omniq_create_event_storage(config)
        self.schedules = plugin.omniq_create_schedule_storage(config)

    @property
    def all(self):
        return (self.queue, self.results, self.events, self.schedules)


@asynccontextmanager
async def opened(url, *, joined=True, **options):
    roles = Roles(url, **{"schema": f"test_{secrets.token_hex(8)}", **options})
    try:
        for role in roles.all:
            await role.open()
        if joined:
            roles.queue.join(frozenset(Role) - {Role.TASK_QUEUE})
        yield roles
    finally:
        for role in reversed(roles.all):
            await role.close()


@pytest.fixture
def open_roles():
    return opened


@pytest.fixture(scope="session")
def url():
    """A server for tests that leave it as it is."""
    with servers.start("postgres") as server:
        yield server.url


@pytest.fixture
def own_server():
    """A server for one test, which may change or end it."""
    with servers.start("postgres") as server:
        yield server


@pytest.fixture
async def connection(url):
    """A connection of somebody else."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()
