from __future__ import annotations

import secrets

import asyncpg
import four_roles
import pytest

from omniq.storage.backend import BackendConfig
from omniq_conformance import servers
from omniq_postgres import plugin


def opened(url, *, joined=True, **options):
    given = {"schema": f"test_{secrets.token_hex(8)}", **options}
    config = BackendConfig(backend_type="postgres", url=url, options=given)
    return four_roles.opened(plugin, config, joined=joined)


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
