"""What only a real server shows: its settings, restarts, other sessions, and what the doctor says of them."""

from __future__ import annotations

import asyncio
import json
import secrets

import asyncpg
import pytest
from click.testing import CliRunner

from omniq.cli.root import cli
from omniq.errors import ConfigError, ConnectionLostError, StorageError, StoreFormatError
from omniq.models.record import Completion, Failure, TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq_postgres import pool, statements
from omniq_postgres.doctor import examine
from omniq_postgres.rows import spec_columns
from omniq_postgres.schema import in_schema


def spec(task_id, **options):
    return TaskSpec(id=task_id, body=TaskBody(func="f"), **options)


async def claim(queue, limit=100, lease_ms=30_000):
    return await queue.claim(["default"], limit, "w", lease_ms, secrets.token_hex(8))


async def work(queue, wanted, seen):
    """Claim and complete until as many tasks as wanted were seen, whatever becomes of the server."""
    while len(seen) < wanted:
        grants = await answered(lambda: claim(queue, 10, lease_ms=300))
        items = [Completion(grant.id, grant.token) for grant in grants]
        replies = await answered(lambda items=items: queue.complete(items))  # it may be done, and the reply lost
        seen |= {item.id for item, reply in zip(items, replies, strict=True) if reply in {"ok", "already"}}
        if not grants:
            await asyncio.sleep(0.05)


async def answered(call):
    while True:
        try:
            return await call()
        except StorageError:
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
async def test_workers_go_on_when_the_server_restarts_under_load(own_server, open_roles):
    async with open_roles(own_server.url, max_connections=4) as roles:
        ids = {f"t{number}" for number in range(300)}
        await roles.queue.enqueue([spec(task_id, max_attempts=100) for task_id in sorted(ids)])
        seen = set()
        workers = [asyncio.create_task(work(roles.queue, len(ids), seen)) for _ in range(6)]
        for _ in range(2):
            await asyncio.sleep(0.2)
            await asyncio.to_thread(own_server.kill)
            with pytest.raises(ConnectionLostError):
                await roles.queue.queues()
            await asyncio.to_thread(own_server.restart)
        await asyncio.gather(*workers)
        assert seen == ids
        (stats,) = await roles.queue.queues()
        assert stats.completed == len(ids)
        assert await connections(own_server.url) <= 4


async def connections(url):
    other = await asyncpg.connect(url)
    try:
        return await other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'omniq'")
    finally:
        await other.close()


async def test_no_more_connections_than_allowed(url, open_roles):
    async with open_roles(url, max_connections=3, application_name="counted") as roles:
        await asyncio.gather(*(roles.queue.count() for _ in range(50)))
        await asyncio.gather(*(roles.queue.enqueue([spec(f"t{number}")]) for number in range(50)))
        ((found,),) = await roles.queue.shared.read(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"
        )
        assert found <= 3
        assert await roles.queue.count() == 50


async def test_short_statements_share_connections(url, open_roles, monkeypatch):
    monkeypatch.setattr(pool, "_PATIENCE", 30.0)
    async with open_roles(url, application_name="shared") as roles:
        await asyncio.gather(*(roles.queue.enqueue([spec(f"t{number}")]) for number in range(50)))
        ((found,),) = await roles.queue.shared.read(_COUNTED, "shared")
        assert found <= 2  # one of them may listen


_COUNTED = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"


async def test_long_statements_get_connections_of_their_own(url, open_roles):
    async with open_roles(url, application_name="apart", max_connections=3) as roles:
        read = roles.queue.shared.read
        long = [asyncio.create_task(read("SELECT pg_sleep(3)")) for _ in range(2)]
        assert await roles.queue.count() == 0
        ((found,),) = await read(_COUNTED, "apart")
        assert found == 3
        assert not any(task.done() for task in long)
        await asyncio.gather(*long)


async def test_who_is_cancelled_while_a_connection_comes_free_gives_it_back(url, open_roles, monkeypatch):
    monkeypatch.setattr(pool, "_PATIENCE", 30.0)
    async with open_roles(url, listen_dsn="off", application_name="given") as roles:
        read = roles.queue.shared.read
        first = asyncio.create_task(read("SELECT pg_sleep(0.05)"))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(read("SELECT 1")) for _ in range(5)]
        first.add_done_callback(lambda _: [task.cancel() for task in waiting])
        await first
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(each, (asyncio.CancelledError, list)) for each in done)
        async with asyncio.timeout(20):
            assert await roles.queue.count() == 0
        ((found,),) = await read(_COUNTED, "given")
        assert found == 1


async def test_results_are_purged_in_portions_whatever_the_planner_does(own_server, open_roles):
    other = await asyncpg.connect(own_server.url)
    for setting in ("enable_hashjoin", "enable_mergejoin", "enable_material", "enable_hashagg", "enable_sort"):
        await other.execute(f"ALTER ROLE postgres SET {setting} = off")
    await other.close()
    async with open_roles(own_server.url) as roles:
        old = [ResultRecord(id=f"t{n}", seq=n, epoch=1, status=TaskStatus.COMPLETED, ttl_ms=1) for n in range(20)]
        await roles.results.put(old, now=1_000)
        assert [await roles.results.purge_expired(2, now=2_000) for _ in range(11)] == [2] * 10 + [0]


async def test_without_prepared_statements_and_wake_ups(url, open_roles):
    """As behind PgBouncer in transaction mode."""
    async with open_roles(url, statement_cache_size=0, listen_dsn="off") as roles:
        assert not roles.queue.capabilities.push
        waiting = asyncio.create_task(roles.queue.wait(["default"], 20))
        await asyncio.sleep(0.1)
        await roles.queue.enqueue([spec("t")])
        async with asyncio.timeout(5):
            await waiting
        (grant,) = await claim(roles.queue)
        assert await roles.queue.complete([Completion("t", grant.token)]) == ["ok"]
        assert [event.version for event in await roles.events.read()] == [1, 2, 3]


async def test_texts_that_postgresql_cannot_keep(url, open_roles):
    odd = "a\0b\x01c\ud800\nd"
    async with open_roles(url) as roles:
        await roles.queue.enqueue([TaskSpec(id="t", body=TaskBody(func=odd, codec=odd, headers={"name": odd[:4]}))])
        (grant,) = await roles.queue.claim(["default"], 1, odd, 30_000, "0")
        assert (grant.body.func, grant.body.codec, grant.body.headers) == (odd, odd, {"name": odd[:4]})
        (record,) = await roles.queue.get(["t"])
        assert record.worker == odd
        assert await roles.queue.fail([Failure("t", grant.token, odd)]) == ["FAILED"]
        (record,) = await roles.queue.get(["t"])
        assert record.error == odd
        assert [event.error for event in await roles.events.read()] == [None, None, odd]
        assert await roles.queue.get(["t\0", "\ud800"]) == [None, None]


async def test_events_of_a_late_transaction_come_after_what_was_read(url, open_roles, connection):
    async with open_roles(url) as roles:
        database = roles.queue.shared
        late = spec_columns([spec("late")])
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch(in_schema(statements.ENQUEUE, database.schema), None, 1, *late)
        await roles.queue.enqueue([spec("early")])
        (early,) = await roles.events.read()
        assert early.task_id == "early"
        assert await roles.queue.get(["late"]) == [None]
        await transaction.commit()
        (event,) = await roles.events.read(after=early.position)
        assert event.task_id == "late"
        assert [grant.id for grant in await claim(roles.queue)] == ["late", "early"]


async def test_a_database_with_another_isolation_is_refused(own_server, open_roles):
    other = await asyncpg.connect(own_server.url)
    await other.execute("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'")
    await other.close()
    with pytest.raises(ConfigError, match="needs READ COMMITTED"):
        async with open_roles(own_server.url):
            pass


async def test_faults_of_the_login_are_no_lost_connections(url, open_roles):
    with pytest.raises(ConfigError, match="no such database"):
        async with open_roles(url.removesuffix("postgres") + "nothing"):
            pass
    with pytest.raises(ConfigError, match="refused the login"):
        async with open_roles(url.replace("postgres@", "nobody@")):
            pass


async def test_without_migrations_a_new_schema_is_refused(url, open_roles, connection):
    schema = f"test_{secrets.token_hex(8)}"
    with pytest.raises(StoreFormatError, match="Run: omniq migrate"):
        async with open_roles(url, schema=schema, migrate=False):
            pass
    printed = CliRunner().invoke(cli, ["migrate", "--url", url, "--schema", schema, "--sql"], catch_exceptions=False)
    await connection.execute(printed.output)
    async with open_roles(url, schema=schema, migrate=False) as roles:
        await roles.queue.enqueue([spec("t")])
    again = await asyncio.to_thread(CliRunner().invoke, cli, ["migrate", "--url", url, "--schema", schema])
    assert again.output == f"The schema {schema} has format 1 already.\n"
    options = ["migrate", "--url", url, "--schema", schema, "--json"]
    answer = await asyncio.to_thread(CliRunner().invoke, cli, options)
    assert json.loads(answer.output) == {"schema": schema, "format": 1, "migrated_from": 1}


async def test_a_schema_of_something_else_is_refused(url, open_roles, connection):
    schema = f"test_{secrets.token_hex(8)}"
    await connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.task ()")
    with pytest.raises(StoreFormatError, match="1 tables and indexes of something else"):
        async with open_roles(url, schema=schema):
            pass


async def test_the_doctor(url, open_roles, connection):
    async with open_roles(url) as roles:
        database = roles.queue.shared
        found = {finding.name: finding for finding in await examine(database)}
        assert {finding.severity for finding in found.values()} == {"ok"}, found
        await connection.execute(f"DROP INDEX {database.schema}.head_lease")
        missing = {finding.name: finding for finding in await examine(database)}["postgres indexes"]
        assert (missing.severity, missing.message) == ("error", "missing or invalid: head_lease")
