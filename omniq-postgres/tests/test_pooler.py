"""Behind a real PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio

import pytest
from pgbouncer import PgBouncer

from omniq import AsyncOmniQ, OmniQConfig, StorageBackendConfig
from omniq.storage.backend import BackendConfig
from omniq_conformance import open_plugin, servers
from omniq_conformance.engine import run_item
from omniq_conformance.outcomes import UnverifiedError
from omniq_conformance.profiles import PROFILES
from omniq_conformance.registry import items
from omniq_postgres import plugin
from omniq_postgres.conformance import PostgresHarness

OPTIONS = {"statement_cache_size": 0}  # as releases before 1.21 need it
FAMILIES = {"waking", "transactions"}
PROGRAMS = {"OQ-Q-0101-joined", "OQ-E-0101", "OQ-R-0101", "OQ-S-0101-separate"}


def double(number):
    return 2 * number


@pytest.fixture(scope="module")
def pooler():
    with servers.start("postgres") as server:
        try:
            pooler = PgBouncer(server)
        except UnverifiedError as error:
            pytest.skip(f"unverified: {error}")
        with pooler:
            yield pooler


class PooledHarness(PostgresHarness):
    """Everything of OmniQ goes through the pooler, but LISTEN."""

    def __init__(self, pooler):
        super().__init__(pooler.server.url)
        self.pooled = pooler.url

    async def open(self, namespace):
        options = {**OPTIONS, "schema": await self.schema(namespace), "listen_dsn": self.url}
        return await open_plugin(plugin, BackendConfig(backend_type="postgres", url=self.pooled, options=options))


ITEMS = {item.id: item for item in items() if item.case.family.name in FAMILIES or item.id in PROGRAMS}


@pytest.mark.parametrize("id", ITEMS)
def test_conforms_behind_a_pooler(id, pooler):
    outcome = run_item(ITEMS[id], PooledHarness(pooler), PROFILES["smoke"])
    assert outcome.status.is_good, outcome


async def test_an_application_and_its_workers(pooler):
    options = {**OPTIONS, "schema": "pooled", "listen_dsn": pooler.server.url, "max_connections": 40}
    config = OmniQConfig(task_queue_backend=StorageBackendConfig("postgres", pooler.url, options))
    async with AsyncOmniQ(config=config) as app, app.worker(concurrency=200):
        jobs = await app.enqueue_many(app.task(double), [(number,) for number in range(500)])
        assert await asyncio.gather(*(job.result() for job in jobs)) == list(range(0, 1000, 2))
