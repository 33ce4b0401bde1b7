from __future__ import annotations

import contextlib
import secrets

import four_roles
import pytest

from omniq.storage.backend import BackendConfig
from omniq_conformance import servers
from omniq_conformance.servers import ServerError
from omniq_nats import plugin


def opened(url, *, joined=True, **options):
    given = {"namespace": secrets.token_hex(8), **options}
    config = BackendConfig(backend_type="nats", url=url, options=given)
    return four_roles.opened(plugin, config, joined=joined)


@pytest.fixture
def open_roles():
    return opened


@pytest.fixture(scope="session")
def server():
    """A server for tests that leave it as it is."""
    with servers.start("nats") as server:
        yield server


@pytest.fixture(scope="session")
def url(server):
    return server.url


@pytest.fixture(scope="session")
def starts_with(server):
    """Start a server with settings that came with 2.10; older ones have to refuse them."""

    @contextlib.contextmanager
    def start(**options):
        if server.version.startswith("NATS 2.9"):
            with pytest.raises(ServerError, match="unknown field"):
                servers.start("nats", **options)
            yield None
        else:
            with servers.start("nats", **options) as started:
                yield started

    return start


@pytest.fixture
def own_server():
    """A server for one test, which may change or end it."""
    with servers.start("nats") as server:
        yield server
