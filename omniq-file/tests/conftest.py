from __future__ import annotations

import four_roles
import pytest

from omniq.storage.backend import BackendConfig
from omniq_file import plugin
from omniq_file.conformance import S3Harness


def opened(url, *, joined=True, **options):
    config = BackendConfig(backend_type="file", url=str(url), options=options)
    return four_roles.opened(plugin, config, joined=joined)


@pytest.fixture
def open_roles():
    return opened


@pytest.fixture(scope="session")
def s3():
    with S3Harness() as harness:
        yield harness


class OverwritingHarness(S3Harness):
    """A server that takes no notice of conditions."""

    arguments = ("--unconditional",)


@pytest.fixture
def bucket_that_overwrites(tmp_path):
    with OverwritingHarness() as server:
        options = {"storage_options": {"key": "k", "secret": "s", "endpoint_url": server.url}}
        yield f"s3://omniq-conformance/{tmp_path.name}", options
