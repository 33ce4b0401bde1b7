"""Applications that enqueue in transactions of their users."""

from __future__ import annotations

import secrets

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from omniq import AsyncOmniQ, OmniQ, OmniQConfig, StorageBackendConfig
from omniq.errors import ConfigError, TaskNotFoundError


def double(number):
    return 2 * number


@pytest.fixture
def config(url):
    backend = StorageBackendConfig("postgres", url, {"schema": f"test_{secrets.token_hex(8)}"})
    return OmniQConfig(task_queue_backend=backend)


@pytest.fixture
async def app(config):
    async with AsyncOmniQ(config=config) as app:
        yield app


async def test_a_task_of_a_transaction_runs_after_its_commit(app, connection):
    task = app.task(double)
    transaction = connection.transaction()
    await transaction.start()
    lost = await app.enqueue(double, [1], connection=connection)
    await transaction.rollback()
    async with connection.transaction():
        job = await app.enqueue(double, [2], priority=3, connection=connection)
        others = await app.enqueue_many(double, [(3,), (4,)], connection=connection)
        other = await task.options(connection=connection).enqueue(5)
        again = await app.enqueue(double, [6], task_id=job.id, connection=connection)
        assert [each.created for each in (job, *others, other, again)] == [True, True, True, True, False]
        assert await app.count_tasks() == 0
    await app.worker(burst=True).run()
    assert [await each.result() for each in (job, *others, other)] == [4, 6, 8, 10]
    with pytest.raises(TaskNotFoundError):
        await app.get_task(lost)


async def test_connections_of_pools_and_sessions(app, url, config):
    async with asyncpg.create_pool(url, min_size=1) as pool, pool.acquire() as pooled, pooled.transaction():
        jobs = [await app.enqueue(double, [1], connection=pooled)]
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with async_sessionmaker(engine).begin() as session:
        jobs.append(await app.enqueue(double, [2], connection=session))
    await engine.dispose()
    with psycopg.connect(url) as blocking:
        jobs.append(await app.enqueue(double, [3], connection=blocking))
        blocking.rollback()
    assert [task.id for task in await app.list_tasks()] == jobs[:2]


def test_a_blocking_application(url, config):
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with OmniQ(config=config) as app:
        with Session(engine) as session, session.begin():
            job = app.enqueue(double, [1], connection=session)
            jobs = app.enqueue_many(double, [(2,), (3,)], connection=session)
            assert app.count_tasks() == 0
        with psycopg.connect(url) as connection:
            jobs.append(app.enqueue(double, [4], connection=connection))
            assert app.count_tasks() == 3
        app.worker(burst=True).run()
        assert [each.result() for each in (job, *jobs)] == [2, 4, 6, 8]
    engine.dispose()


async def test_what_is_no_connection_is_refused(app):
    with pytest.raises(ConfigError, match="'postgresql://x' is no connection of asyncpg"):
        await app.enqueue(double, [1], connection="postgresql://x")
    assert await app.count_tasks() == 0


async def test_one_batch_is_of_one_transaction(app, connection):
    task = app.task(double)
    with pytest.raises(ConfigError, match="one `connection` for all"):
        await app.enqueue_many([task.options(connection=connection).call(1), task.call(2)])
    assert await app.count_tasks() == 0
