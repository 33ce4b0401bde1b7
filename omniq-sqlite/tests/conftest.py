from __future__ import annotations

import four_roles
import pytest

from omniq.storage.backend import BackendConfig
from omniq_sqlite import plugin


def configured(path, options):
    return BackendConfig(backend_type="sqlite", url=str(path), options=options)


def made(path, **options):
    return four_roles.Roles(plugin, configured(path, options))


def opened(path, *, joined=True, **options):
    return four_roles.opened(plugin, configured(path, options), joined=joined)


@pytest.fixture
def open_roles():
    return opened
