"""What only this backend does: connections, scripts, durability, and the server's own settings."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from importlib.resources import files
from types import SimpleNamespace

import pytest
import redis
from redis.crc import key_slot

from omniq.errors import ConfigError, ConnectionLostError, OutcomeUnknownError, StoreClosedError, StoreFormatError
from omniq.models.record import Completion, TaskBody, TaskFilter, TaskSpec
from omniq.models.status import TaskStatus
from omniq.storage.capabilities import Durability
from omniq.storage.upkeep import Severity
from omniq_conformance import servers
from omniq_conformance.faults.proxy import Direction, Proxy
from omniq_redis.doctor import omniq_doctor_checks
from omniq_redis.scripts import script

BODY = TaskBody(func="m.f")


def spec(task_id, **options):
    return TaskSpec(id=task_id, body=BODY, **options)


async def finish(queue, *ids):
    await queue.enqueue([spec(task_id) for task_id in ids])
    grants = await queue.claim(["default"], len(ids), "w", 30_000, "n" * 16)
    return await queue.complete([Completion(grant.id, grant.token) for grant in grants])


async def comes_true(condition):
    """Tell whether something becomes true within some seconds."""
    for _ in range(2_000):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


# Scripts


async def test_a_server_that_forgot_the_scripts_gets_them_again(url, open_roles):
    async with open_roles(url) as roles:
        await roles.queue.enqueue([spec("a")])
        with redis.Redis.from_url(url) as client:
            client.script_flush()
        assert [answer.created for answer in await roles.queue.enqueue([spec("a"), spec("b")])] == [False, True]


async def test_scripts_that_only_read_are_marked_so(url, open_roles):
    names = ("claim", "enqueue", "get", "list", "read", "time")
    assert [script(name).changes for name in names] == [True, True, False, False, False, False]
    async with open_roles(url) as roles:
        await roles.queue.enqueue([spec("a")])
        assert [record.id for record in await roles.queue.list()] == ["a"]


@pytest.mark.parametrize("name", sorted(path.stem for path in (files("omniq_redis") / "lua").iterdir()))
def test_scripts_have_no_function_that_they_do_not_use(name):
    source = script(name).source
    functions = re.findall(r"^(?:local )?function (\w+)", source, re.MULTILINE)
    assert [each for each in functions if len(re.findall(rf"\b{each}\b", source)) < 2] == []
    used = script("read").source
    assert "function marks_of" in used  # by the script itself
    assert "function full_marks" in used  # by marks_of
    assert "function note_times" not in used


async def test_a_batch_larger_than_a_script_keeps_its_order(url, open_roles):
    async with open_roles(url) as roles:
        ids = [f"t{number}" for number in range(12_000)]
        answers = await roles.queue.enqueue([spec(task_id) for task_id in ids])
        assert all(answer.created for answer in answers)
        grants = await roles.queue.claim(["default"], 12_000, "w", 30_000, "n" * 16)
        assert [grant.id for grant in grants] == ids
        replies = await roles.queue.complete([Completion(grant.id, grant.token) for grant in grants])
        assert replies == ["ok"] * len(ids)
        assert await roles.queue.count() == len(ids)
        assert len(await roles.queue.purge(frozenset(TaskStatus), 2**50, 20_000)) == len(ids)


async def test_a_damaged_head_blocks_nobody(url, open_roles):
    async with open_roles(url, key_prefix="damaged") as roles:
        await roles.queue.enqueue([spec("bad"), spec("good")])
        with redis.Redis.from_url(url) as client:
            client.hset("{damaged:omniq}:heads:0", "000000000000001", b"\xc1")
        grants = await roles.queue.claim(["default"], 5, "w", 30_000, "n" * 16)
        assert [grant.id for grant in grants] == ["good"]


async def test_a_damaged_body_ends_its_task(url, open_roles):
    async with open_roles(url, key_prefix="body") as roles:
        await roles.queue.enqueue([spec("bad"), spec("good")])
        with redis.Redis.from_url(url) as client:
            client.hset("{body:omniq}:bodies:0", "000000000000001", b"\xc1 raw")
        grants = await roles.queue.claim(["default"], 5, "w", 30_000, "n" * 16)
        assert [grant.id for grant in grants] == ["good"]
        (record,) = await roles.queue.get(["bad"])
        assert (record.state, record.body.args) == (TaskStatus.FAILED, b"\xc1 raw")
        assert record.error.startswith("The body of the task is damaged")


async def test_lists_by_state_do_not_depend_on_the_index(url, open_roles):
    async with open_roles(url) as roles:
        queue = roles.queue
        assert await finish(queue, *(f"t{number}" for number in range(6_000))) == ["ok"] * 6_000  # more than MOST
        await queue.enqueue([spec("waits")])
        done = TaskFilter(states=frozenset({TaskStatus.COMPLETED}), funcs=frozenset({"m.f"}))
        assert await queue.count(done) == 6_000
        assert [record.id for record in await queue.list(done, limit=3, desc=True)] == ["t5999", "t5998", "t5997"]


# Connections


async def test_connections_are_shared_and_none_is_left(own_server, open_roles):
    with redis.Redis.from_url(own_server.url) as client:
        before = len(client.client_list())
        async with open_roles(own_server.url, max_connections=3) as roles:
            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(roles.queue.enqueue([spec(f"t{number}")]))
                group.create_task(roles.queue.wait_done(["t1"], 0.05))
            assert len(client.client_list()) <= before + 4  # three for commands, and the bell
        assert await comes_true(lambda: len(client.client_list()) == before)


async def test_calls_that_are_cancelled_at_any_moment_leave_no_connection_behind(own_server, open_roles):
    with redis.Redis.from_url(own_server.url) as client:
        async with open_roles(own_server.url, max_connections=2) as roles:
            before = len(client.client_list())
            for turns in [*range(25)] * 4:
                calls = [asyncio.create_task(roles.queue.time()) for _ in range(2)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.wait(calls)
                if turns % 5 == 0:
                    await asyncio.sleep(0.06)  # so that idle connections are looked at for longer
            assert await comes_true(lambda: len(client.client_list()) <= before + 1)


async def test_idle_connections_that_a_restart_closed_are_not_used(own_server, open_roles):
    async with open_roles(own_server.url) as roles:
        await asyncio.gather(*(roles.queue.enqueue([spec(f"t{number}")]) for number in range(5)))
        own_server.kill()
        own_server.restart()
        assert [record.id for record in await roles.queue.get(["t0"])] == ["t0"]
        assert [answer.created for answer in await roles.queue.enqueue([spec("after")])] == [True]


async def test_without_a_server_nothing_was_changed(own_server, open_roles):
    async with open_roles(own_server.url) as roles:
        await roles.queue.enqueue([spec("a")])
        own_server.kill()
        await asyncio.sleep(0.1)
        with pytest.raises(ConnectionLostError, match=r"cannot be reached"):
            await roles.queue.enqueue([spec("b")])


async def test_a_lost_reply_is_unknown_for_a_change_and_harmless_for_a_read(own_server, open_roles):
    async with open_roles(own_server.url, socket_timeout=0.3) as roles:
        await roles.queue.enqueue([spec("a")])
        own_server.pause()
        try:
            with pytest.raises(OutcomeUnknownError):
                await roles.queue.enqueue([spec("b")])
        finally:
            own_server.resume()
        own_server.pause()
        try:
            with pytest.raises(ConnectionLostError):
                await roles.queue.get(["a"])
        finally:
            own_server.resume()


async def test_a_closed_server_refuses(url, open_roles):
    async with open_roles(url) as roles:
        pass
    with pytest.raises(StoreClosedError):
        await roles.queue.enqueue([])


def test_a_child_process_has_to_open_its_own(url):
    code = f"""
import asyncio, os
from omniq.errors import StoreClosedError
from omniq.storage.backend import BackendConfig
from omniq_redis import plugin

async def main():
    queue = plugin.omniq_create_task_queue(BackendConfig(backend_type="redis", url={url!r}))
    await queue.open()
    if not os.fork():
        try:
            await queue.time()
        except StoreClosedError as error:
            os._exit(7 if "fork" in str(error) else 1)
        os._exit(2)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
    await queue.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "7\n"


# What the server is set to


async def test_a_server_that_evicts_is_refused_unless_that_is_wanted(own_server, open_roles):
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(ConfigError, match=r"maxmemory-policy 'allkeys-lru'.*noeviction"):
        async with open_roles(own_server.url):
            pass
    async with open_roles(own_server.url, allow_eviction=True) as roles:
        assert any("evicts keys" in warning for warning in roles.queue.capabilities.warnings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"appendonly": "no"}, Durability.NONE),
        ({"appendfsync": "everysec"}, Durability.PROCESS_CRASH),
        ({"appendfsync": "always"}, Durability.OS_CRASH),
    ],
)
async def test_durability_is_what_the_server_is_set_to(settings, expected, open_roles):
    with servers.start("valkey", **settings) as server:
        async with open_roles(server.url) as roles:
            assert roles.queue.capabilities.durability is expected


async def test_acknowledgements_can_wait_for_the_disk(own_server, open_roles):
    async with open_roles(own_server.url, wait_aof=True) as roles:
        assert await finish(roles.queue, "a") == ["ok"]


async def test_a_write_that_too_few_replicas_have_is_of_unknown_outcome(own_server, open_roles):
    with servers.start("valkey", replicaof=f"127.0.0.1 {own_server.port}") as replica:
        with redis.Redis.from_url(own_server.url) as client:
            assert await comes_true(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        async with open_roles(own_server.url, wait_replicas=1, wait_timeout=2) as roles:
            assert roles.queue.capabilities.durability is Durability.REPLICATED
            assert await finish(roles.queue, "a") == ["ok"]
            replica.kill()
            with pytest.raises(OutcomeUnknownError, match=r"only 0 of 1 replicas"):
                await roles.queue.enqueue([spec("b")])


async def test_a_full_server_refuses_the_whole_script(own_server, open_roles):
    async with open_roles(own_server.url) as roles:
        await roles.queue.enqueue([spec("a")])
        with redis.Redis.from_url(own_server.url) as client:
            client.config_set("maxmemory", "1mb")
        with pytest.raises(Exception, match=r"Nothing was changed.*memory is full"):
            await roles.queue.claim(["default"], 1, "w", 30_000, "n" * 16)
        assert [record.state for record in await roles.queue.list()] == [TaskStatus.PENDING]


async def test_a_password_is_needed_and_not_shown(open_roles):
    with servers.start("valkey", requirepass="s3cret") as server:
        with pytest.raises(ConfigError, match=r"refuse"):
            async with open_roles(server.url):
                pass
        with pytest.raises(ConfigError) as caught:
            async with open_roles(server.url, password="wr0ng"):
                pass
        assert "wr0ng" not in str(caught.value)
        async with open_roles(server.url.replace("//", "//:s3cret@")) as roles:
            assert await finish(roles.queue, "a") == ["ok"]


async def test_a_newer_format_is_refused(url, open_roles):
    async with open_roles(url, key_prefix="newer"):
        pass
    with redis.Redis.from_url(url) as client:
        client.hset("{newer:omniq}:meta", mapping={"format": 9, "min_writer": 9})
    with pytest.raises(StoreFormatError, match=r"pip install --upgrade omniq-redis"):
        async with open_roles(url, key_prefix="newer"):
            pass


# Failover


async def test_a_worker_of_before_a_failover_cannot_end_the_run_of_another(own_server, open_roles):
    with servers.start("valkey", replicaof=f"127.0.0.1 {own_server.port}") as replica:
        with redis.Redis.from_url(own_server.url) as client:
            assert await comes_true(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        async with open_roles(own_server.url, key_prefix="same", wait_replicas=1) as before:
            await before.queue.enqueue([spec("a")])
            with redis.Redis.from_url(replica.url) as client:
                client.replicaof("NO", "ONE")  # it is promoted, and lacks the claim that comes now
            with pytest.raises(OutcomeUnknownError):
                await before.queue.claim(["default"], 1, "old", 30_000, "a" * 16)
            (stale,) = await before.queue.held("old", "a" * 16)
        async with open_roles(replica.url, key_prefix="same") as after:
            (current,) = await after.queue.claim(["default"], 1, "new", 30_000, "b" * 16)
            assert current.token[:2] == stale.token[:2]  # only the nonce tells them apart
            ends = [Completion("a", stale.token), Completion("a", current.token)]
            assert await after.queue.complete(ends) == ["lost", "ok"]


async def test_a_cluster_is_found_from_any_node_and_survives_a_restart_of_it(open_roles):
    with servers.cluster("valkey", appendfsync="always") as nodes:
        for node in nodes.nodes:
            async with open_roles(node.url, key_prefix="same", cluster=True) as roles:
                assert await finish(roles.queue, node.url) == ["ok"]
        async with open_roles(nodes.nodes[0].url, key_prefix="same") as roles:  # which is not said to be in a cluster
            assert await roles.queue.count() == len(nodes.nodes)
            assert roles.queue.shared.pool.is_cluster


async def test_addresses_that_do_not_lead_anywhere_from_here_are_replaced(open_roles):
    with servers.cluster("valkey") as nodes, Proxy(nodes.url) as proxy:
        reached = [url.split("/")[2] for url in proxy.url.split(",")]
        told = [f"127.0.0.1:{node.port}" for node in nodes.nodes]
        options = {"cluster": True, "address_map": dict(zip(told, reached, strict=True))}
        for number in range(8):  # which are in the slots of different nodes
            async with open_roles(f"redis://{reached[0]}", key_prefix=f"p{number}", **options) as roles:
                before = proxy.chunks[Direction.TO_SERVER]
                assert await finish(roles.queue, "a") == ["ok"]
                await roles.queue.wait_done(["a"], 1)
                assert proxy.chunks[Direction.TO_SERVER] >= before + 3
        owners = [len(_keys(node.url)) for node in nodes.nodes]
        assert min(owners) > 0


def _keys(url):
    with redis.Redis.from_url(url) as client:
        return client.keys()


async def test_wake_ups_follow_a_slot_that_moves_to_another_node(open_roles):
    with servers.cluster("valkey") as nodes:
        async with open_roles(nodes.nodes[0].url, key_prefix="same", cluster=True) as roles:
            queue, server = roles.queue, roles.queue.shared
            waiting = asyncio.create_task(queue.wait(["default"], 20))
            assert await comes_true(server.bell._is_listening.is_set)
            _, first = await server.pool._addresses.locate()
            (target, *_) = [node for node in nodes.nodes if node.port != first]
            _move_slot(nodes, key_slot(server.prefix), target)
            moved_at = time.monotonic()
            assert await comes_true(lambda: _bells(target.url))
            assert time.monotonic() - moved_at < 1
            await queue.enqueue([spec("a")])
            await waiting
            assert server.pool._addresses._found == ("127.0.0.1", target.port)


def _bells(url):
    with redis.Redis.from_url(url) as client:
        return client.execute_command("PUBSUB", "SHARDCHANNELS")


def _move_slot(nodes, slot, target):
    with redis.Redis.from_url(target.url) as client:
        name = client.execute_command("CLUSTER", "MYID")
    for node in sorted(nodes.nodes, key=lambda node: node is not target):
        with redis.Redis.from_url(node.url) as client:
            client.flushall()
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)


async def test_sentinels_tell_where_the_primary_is(own_server, open_roles, tmp_path):
    with _sentinel(own_server, tmp_path) as address:
        options = {"sentinels": ["127.0.0.1:1", address], "sentinel_service": "tasks"}
        async with open_roles(None, **options) as roles:
            assert await finish(roles.queue, "a") == ["ok"]
        mapped = {**options, "address_map": {f"127.0.0.1:{own_server.port}": "127.0.0.1:1"}}
        with pytest.raises(ConnectionLostError, match=r"127\.0\.0\.1:1 cannot be reached"):
            async with open_roles(None, **mapped):
                pass
        with pytest.raises(ConnectionLostError, match=r"does not know it"):
            async with open_roles(None, **{**options, "sentinel_service": "other"}):
                pass


async def test_sentinels_have_a_login_of_their_own_or_none(open_roles, tmp_path):
    with (
        servers.start("valkey", requirepass="s3cret") as server,
        _sentinel(server, tmp_path, "sentinel auth-pass tasks s3cret") as plain,
        _sentinel(server, tmp_path, "sentinel auth-pass tasks s3cret", "requirepass other") as guarded,
    ):
        options = {"sentinel_service": "tasks", "password": "s3cret"}
        async with open_roles(None, sentinels=[plain], **options) as roles:
            assert await finish(roles.queue, "a") == ["ok"]
        async with open_roles(None, sentinels=[guarded], sentinel_password="other", **options) as roles:
            assert await finish(roles.queue, "a") == ["ok"]
        with pytest.raises(ConfigError, match=r"sentinel_password"):
            async with open_roles(None, sentinels=[guarded], **options):
                pass


@contextlib.contextmanager
def _sentinel(server, folder, *lines):
    """The address of a sentinel that watches a server."""
    port = servers.private.free_port()
    config = folder / f"sentinel-{port}.conf"
    config.write_text("\n".join([f"sentinel monitor tasks 127.0.0.1 {server.port} 1", *lines, ""]))
    command = [server.binary.path, str(config), "--sentinel", "--port", str(port), "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as sentinel:
        try:
            for _ in range(2_000):
                if _answers(port):
                    break
                time.sleep(0.01)
            yield f"127.0.0.1:{port}"
        finally:
            sentinel.kill()


def _answers(port):
    with redis.Redis(port=port) as client, contextlib.suppress(redis.ConnectionError):
        try:
            return client.ping()
        except redis.AuthenticationError:
            return True
    return False


# The doctor


async def test_the_doctor_looks_at_each_server_once(own_server, open_roles):
    async with open_roles(own_server.url) as roles:
        queue, results, events, schedules = roles.all
        stores = SimpleNamespace(task_queue=queue, results=results, events=events, schedules=schedules)
        found = await omniq_doctor_checks(SimpleNamespace(stores=stores))
        assert [(finding.name, finding.severity) for finding in found] == [
            ("redis eviction", Severity.OK),
            ("redis persistence", Severity.OK),
            ("redis memory", Severity.OK),
            ("redis slow scripts", Severity.OK),
        ]
        with redis.Redis.from_url(own_server.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", "4mb")
            client.config_set("slowlog-log-slower-than", 0)
            client.config_set("appendonly", "no")
            await roles.queue.time()
        found = await omniq_doctor_checks(SimpleNamespace(stores=stores))
        severities = {finding.name: finding.severity for finding in found}
        assert severities["redis eviction"] is Severity.WARNING
        assert severities["redis persistence"] is Severity.WARNING
        (slow,) = [finding for finding in found if finding.name == "redis slow scripts"]
        assert "scripts of this application in the slow log" in slow.message


async def test_the_permissions_that_the_page_names_are_enough(own_server, open_roles):
    rules = (
        "~{omniq:*}:* &{omniq:*}:* +@read +@write +@scripting +@pubsub +@connection +time +info +config|get +slowlog"
    )
    rules = rules.split()
    with redis.Redis.from_url(own_server.url) as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">secret", *rules)
        client.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "~*", "+@connection")
    url = own_server.url.replace("//", "//app:secret@")
    async with open_roles(url, key_prefix="omniq") as roles:
        await roles.queue.enqueue([spec("a")])
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(roles.queue.wait_done(["a"], 5))
            group.create_task(finish(roles.queue, "a"))
        assert waiting.result() == {"a": TaskStatus.COMPLETED}
    with pytest.raises(ConfigError, match=r"refuses access"):
        async with open_roles(own_server.url.replace("//", "//poor:secret@")):
            pass
