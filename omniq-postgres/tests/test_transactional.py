from __future__ import annotations

import asyncio
import secrets

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from omniq.errors import ConfigError
from omniq.models.record import Enqueued, TaskBody, TaskSpec
from omniq_postgres.transactional import Inbox


def spec(task_id, **options):
    return TaskSpec(id=task_id, body=TaskBody(func="f", args=b"[1, \xff]"), **options)


async def claimed(roles):
    grants = await roles.queue.claim(["default"], 100, "w", 30_000, secrets.token_hex(8))
    return [(grant.id, grant.body.args) for grant in grants]


async def test_committed_and_rolled_back(url, open_roles, connection):
    async with open_roles(url) as roles:
        inbox = Inbox(roles.queue.shared.schema)
        transaction = connection.transaction()
        await transaction.start()
        assert await inbox.enqueue(connection, [spec("never")]) == [Enqueued("never", created=True)]
        await transaction.rollback()
        async with connection.transaction():
            answers = await inbox.enqueue(connection, [spec("a"), spec("b\x01", priority=3), spec("a")])
            assert [answer.created for answer in answers] == [True, True, False]
            assert await roles.queue.get(["a"]) == [None]
            assert await roles.queue.count() == 0
        (record,) = await roles.queue.get(["a"])
        assert (record.state, record.body) == ("PENDING", spec("a").body)
        assert await claimed(roles) == [("b\x01", b"[1, \xff]"), ("a", b"[1, \xff]")]
        assert await roles.queue.get(["never"]) == [None]
        events = [(event.task_id, event.type) for event in await roles.events.read()]
        assert events == [("a", "ENQUEUED"), ("b\x01", "ENQUEUED"), ("b\x01", "STARTED"), ("a", "STARTED")]


async def test_an_idle_worker_is_woken_by_the_commit(url, open_roles, connection):
    async with open_roles(url) as roles:
        await roles.queue.wait(["default"], 0.01)
        waiting = asyncio.create_task(roles.queue.wait(["default"], 30))
        async with connection.transaction():
            await Inbox(roles.queue.shared.schema).enqueue(connection, [spec("a")])
            await asyncio.sleep(0.2)
            assert not waiting.done()
        async with asyncio.timeout(5):
            await waiting
        assert [task_id for task_id, _ in await claimed(roles)] == ["a"]


async def test_an_open_transaction_with_a_unique_key_blocks_nobody(url, open_roles, connection):
    async with open_roles(url) as roles:
        inbox = Inbox(roles.queue.shared.schema)
        transaction = connection.transaction()
        await transaction.start()
        assert await inbox.enqueue(connection, [spec("mine", unique_key="k")]) == [Enqueued("mine", created=True)]
        async with asyncio.timeout(5):
            answers = await roles.queue.enqueue([spec("theirs", unique_key="k"), spec("other")])
        assert [answer.created for answer in answers] == [True, True]
        await transaction.commit()
        # The key was taken before the commit.
        assert {task_id for task_id, _ in await claimed(roles)} == {"theirs", "other"}
        assert await roles.queue.get(["mine"]) == [None]
        async with connection.transaction():
            answers = await inbox.enqueue(connection, [spec("late", unique_key="k")])
        assert answers == [Enqueued("theirs", created=False)]


async def test_what_cannot_be_meant_is_refused_and_the_transaction_goes_on(url, open_roles, connection):
    async with open_roles(url) as roles, connection.transaction():
        inbox = Inbox(roles.queue.shared.schema, notify=False)
        with pytest.raises(ConfigError, match="priority 10"):
            await inbox.enqueue(connection, [spec("a", priority=10)])
        assert await inbox.enqueue(connection, [spec("a")]) == [Enqueued("a", created=True)]


async def test_psycopg(url, open_roles):
    async with open_roles(url) as roles:
        inbox = Inbox(roles.queue.shared.schema)
        async with await psycopg.AsyncConnection.connect(url) as connection:
            assert await inbox.enqueue(connection, [spec("a")]) == [Enqueued("a", created=True)]
        await asyncio.to_thread(blocking, url, inbox)
        assert [task_id for task_id, _ in await claimed(roles)] == ["a", "b"]


def blocking(url, inbox):
    with psycopg.connect(url) as connection:
        assert inbox.enqueue_blocking(connection, [spec("b")]) == [Enqueued("b", created=True)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_sqlalchemy(url, open_roles, driver):
    url_of_driver = url.replace("postgresql://", f"postgresql+{driver}://")
    async with open_roles(url) as roles:
        inbox = Inbox(roles.queue.shared.schema)
        engine = create_async_engine(url_of_driver)
        async with AsyncSession(engine) as session, session.begin():
            assert await inbox.enqueue(session, [spec("a")]) == [Enqueued("a", created=True)]
        async with engine.begin() as connection:
            assert await inbox.enqueue(connection, [spec("b")]) == [Enqueued("b", created=True)]
        await engine.dispose()
        await asyncio.to_thread(with_session, url.replace("postgresql://", "postgresql+psycopg://"), inbox)
        assert [task_id for task_id, _ in await claimed(roles)] == ["a", "b", "c"]


def with_session(url, inbox):
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        assert inbox.enqueue_blocking(session, [spec("c")]) == [Enqueued("c", created=True)]
    engine.dispose()


async def test_without_the_schema_the_drivers_error_comes_through(connection):
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await Inbox("public").enqueue(connection, [spec("a")])
