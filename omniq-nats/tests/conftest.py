from __future__ import annotations

import secrets

import four_roles
import pytest

from omniq.storage.backend import BackendConfig
from omniq_conformance import servers
from omniq_nats import plugin


def opened(url, *, joined=True, **options):
    given = {"namespace": secrets.token_hex(8), **options}
    config = BackendConfig(backend_type="nats", url=url, options=given)
    return four_roles.opened(plugin, config, joined=joined)


@pytest.fixture
def open_roles():
    return opened


@pytest.fixture(scope="session")
def url():
    """A server for tests that leave it as it is."""
    with servers.start("nats") as server:
        yield server.url


@pytest.fixture
def own_server():
    """A server for one test, which may change or end it."""
    with servers.start("nats") as server:
        yield server
