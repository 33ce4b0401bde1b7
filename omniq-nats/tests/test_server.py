"""What only this backend does: connections, steps that others complete, durability, and the server's own settings."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import attrs
import pytest

from omniq.errors import ConfigError, ConnectionLostError, LimitExceededError, StoreFormatError
from omniq.models.record import Completion, Failure, TaskBody, TaskFilter, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.models.status import TaskStatus
from omniq.storage.capabilities import Durability
from omniq.storage.schedules import Advance
from omniq.storage.upkeep import Severity
from omniq_conformance import servers
from omniq_conformance.faults.proxy import Proxy
from omniq_nats import greeting
from omniq_nats.codec import Slot
from omniq_nats.doctor import omniq_doctor_checks
from omniq_nats.enqueuing import Enqueuing
from omniq_nats.jetstream import Progress, Write
from omniq_nats.tasks import Tasks

BODY = TaskBody(func="m.f")
NONCE = "0123456789abcdef"


def spec(task_id, **options):
    return TaskSpec(id=task_id, body=BODY, **options)


async def comes_true(condition):
    """Tell whether something becomes true within some seconds."""
    for _ in range(1_000):
        if await condition():
            return True
        await asyncio.sleep(0.02)
    return False


async def waited(queue, name):
    """Wait for work, as workers do: again if the connection breaks."""
    while True:
        try:
            return await queue.wait([name], 60)
        except ConnectionError:
            await asyncio.sleep(0.02)


async def consumers(store):
    told = await store.jetstream.info(store.names.log)
    return told["state"]["consumer_count"]


# Connections


async def test_a_storm_of_reconnections_leaves_no_consumer(own_server, open_roles):
    with Proxy(own_server.url) as proxy:
        async with (
            open_roles(own_server.url, namespace="storm") as direct,
            open_roles(proxy.url, namespace="storm") as roles,
        ):
            await roles.queue.enqueue([spec("t", eta=2**43)])
            await roles.queue.count()
            waits = [asyncio.ensure_future(waited(roles.queue, "other"))]
            for _ in range(25):
                proxy.sever()
                await asyncio.sleep(0.05)
            store = direct.queue.shared

            async def is_one():
                return await consumers(store) <= 1

            assert await comes_true(is_one)
            await direct.queue.enqueue([spec("w", queue="other")])
            async with asyncio.timeout(2):
                await asyncio.gather(*waits)

        async def is_none():
            async with open_roles(own_server.url, namespace="storm") as again:
                return await consumers(again.queue.shared) == 0

        assert await comes_true(is_none)


async def test_what_happened_meanwhile_is_known_soon_after_a_connection_is_back(own_server, open_roles):
    with Proxy(own_server.url) as proxy:
        async with (
            open_roles(own_server.url, namespace="back") as direct,
            open_roles(proxy.url, namespace="back") as roles,
        ):
            await roles.queue.count()
            for number in range(5):
                wait = asyncio.ensure_future(waited(roles.queue, "default"))
                await asyncio.sleep(0.1)
                proxy.sever()
                await direct.queue.enqueue([spec(f"t{number}")])
                async with asyncio.timeout(2):
                    await wait
                await direct.queue.claim(["default"], 1, "w", 30_000, NONCE)


async def test_a_server_without_jetstream_is_refused(tmp_path):
    from omniq_nats.options import NatsOptions
    from omniq_nats.store import Store

    class Told(Store):
        """One whose server says that it has no JetStream."""

    with servers.start("nats") as server:
        store = Told(NatsOptions(servers=(server.url,), namespace="none"), "omniq")
        wire = await store.link.wire()
        wire._server_info["jetstream"] = False
        from omniq_nats.greeting import greet

        with pytest.raises(ConfigError, match="JetStream is not enabled"):
            await greet(store)
        await store.link.close()


async def test_nobody_there(open_roles):
    with servers.start("nats") as server:
        url = server.url
    with pytest.raises(ConnectionLostError, match="cannot be reached"):
        async with open_roles(url, connect_timeout=1):
            pass


# Steps that others complete


async def staged(roles, made):
    """Begin to enqueue a task with a key, and stop once it is staged."""
    tasks = roles.queue._tasks
    now = await roles.queue.time()
    enqueuing = Enqueuing(tasks, [made], now, Progress(), None)
    slot = await enqueuing._made(made)
    assert await roles.queue.shared.put([slot], Progress()) == [True]
    return slot


async def test_a_task_of_which_only_the_stage_is_written_is_not_there_until_somebody_opens_it(url, open_roles):
    async with open_roles(url, namespace="stage") as dying, open_roles(url, namespace="stage") as other:
        await staged(dying, spec("a", unique_key="k"))
        assert await dying.queue.get(["a"]) == [None]
        assert [record.id for record in await other.queue.list()] == ["a"]
        assert await other.queue.enqueue([spec("b", unique_key="k")]) == [("a", False)]


async def test_of_two_that_are_staged_with_one_key_one_becomes_a_task(url, open_roles):
    async with open_roles(url, namespace="two") as dying, open_roles(url, namespace="two") as other:
        await staged(dying, spec("a", unique_key="k"))
        await staged(dying, spec("b", unique_key="k"))
        records, again = await asyncio.gather(other.queue.list(), dying.queue.list())
        assert len(records) == len(again) == 1
        assert await other.queue.count() == 1


async def test_the_next_run_is_made_by_whoever_sees_an_end_without_it(url, open_roles, monkeypatch):
    async with open_roles(url, namespace="next") as dying, open_roles(url, namespace="next") as other:
        await dying.queue.enqueue([spec("a", interval_ms=60_000, unique_key="k")])
        (grant,) = await dying.queue.claim(["default"], 1, "w", 30_000, NONCE)

        async def dies(*_, **__):
            pass

        monkeypatch.setattr(Tasks, "finish", dies)
        assert await dying.queue.complete([Completion("a", grant.token)]) == ["ok"]
        monkeypatch.undo()
        runs = await other.queue.list(TaskFilter(series_id="a"))
        assert [record.state for record in runs] == [TaskStatus.COMPLETED, TaskStatus.PENDING]
        assert await other.queue.enqueue([spec("b", unique_key="k")]) == [(runs[1].id, False)]


async def test_a_redrive_that_was_begun_holds_the_key(url, open_roles):
    async with open_roles(url, namespace="redrive") as dying, open_roles(url, namespace="redrive") as other:
        await dying.queue.enqueue([spec("a", unique_key="k")])
        (grant,) = await dying.queue.claim(["default"], 1, "w", 30_000, NONCE)
        await dying.queue.fail([Failure("a", grant.token, "no")])
        (old,) = await dying.queue.shared.load(["a"])
        made, _ = dying.queue._redriven(old, await dying.queue.time())
        assert await dying.queue.shared.put([made], Progress()) == [True]
        assert (await other.queue.get(["a"]))[0].state in {TaskStatus.FAILED, TaskStatus.PENDING}
        await other.queue.count()
        assert (await other.queue.get(["a"]))[0].state is TaskStatus.PENDING
        assert await other.queue.enqueue([spec("b", unique_key="k")]) == [("a", False)]


async def test_a_write_whose_answer_was_lost_is_looked_for(url, open_roles):
    async with open_roles(url) as roles:
        store = roles.queue.shared
        slot = Slot("x", 0, None)
        write = Write(store.names.task("x"), 0, slot.dump())
        (rev,) = await store.jetstream.write([write], Progress())
        outcomes, progress = [0], Progress()
        await store.jetstream._look_for([write], [0], outcomes, progress)
        assert (outcomes, progress.applied) == ([rev], 1)


async def test_an_older_message_of_a_schedule_that_is_not_deleted_yet_does_not_count(url, open_roles, monkeypatch):
    # Servers of 2.9 replace no message: the older one is deleted a little later.
    async with open_roles(url) as roles:
        store = roles.schedules.shared
        store.jetstream.rolls_up = False
        monkeypatch.setattr(store.jetstream, "drop", lambda *_: None)
        for name in ("moved", "deleted"):
            schedule = Schedule(id=name, kind=ScheduleKind.INTERVAL, interval_ms=1_000, body=BODY, next_run=0)
            stored = await roles.schedules.put(schedule)
        await roles.schedules.put(attrs.evolve(stored, id="moved", next_run=2**42))
        await roles.schedules.delete(["deleted"])
        assert [(each.id, each.next_run) for each in await roles.schedules.list()] == [("moved", 2**42)]
        assert await roles.schedules.due() == []
        assert await roles.schedules.next_due() == 2**42


# Values


async def test_what_is_too_large_is_refused_with_the_remedy(url, open_roles):
    async with open_roles(url) as roles:
        most = roles.queue.capabilities.max_payload_bytes
        made = TaskBody(func="f", args=b"x" * (most - 2))
        assert (await roles.queue.enqueue([TaskSpec(id="large", body=made)]))[0].created
        (record,) = await roles.queue.get(["large"])
        assert record.body == made
        with pytest.raises(LimitExceededError, match="Pass a reference"):
            await roles.queue.enqueue([TaskSpec(id="larger", body=TaskBody(func="f", args=b"x" * (most + 1)))])


async def test_all_that_has_a_payload_takes_the_largest_one(url, open_roles):
    async with open_roles(url) as roles:
        most = roles.queue.capabilities.max_payload_bytes
        body = TaskBody(func="f", args=b"a" * (most - 4), headers={"h": "v"})
        schedule = Schedule(id="s", kind=ScheduleKind.INTERVAL, interval_ms=1_000, body=body, next_run=0)
        stored = await roles.schedules.put(schedule)
        step = Advance(id="s", expected_version=stored.version, next_run=1_000, last_run=0, fired=1)
        made = TaskSpec(id="t", body=TaskBody(func="f", args=b"a" * (most - 4), headers={"h": "v"}))
        assert [answer.created for answer in await roles.queue.fire([made], step)] == [True]
        (grant,) = await roles.queue.claim(["default"], 1, "w", 30_000, NONCE)
        assert grant.body == body
        result = ResultRecord("t", grant.token.seq, grant.token.epoch, TaskStatus.COMPLETED, b"r" * most, "pickle")
        assert await roles.queue.complete([Completion("t", grant.token, result)]) == ["ok"]
        (found,) = await roles.results.get(["t"])
        assert found.value == result.value


async def test_a_message_that_the_server_would_not_take_is_not_sent(url, open_roles):
    async with open_roles(url) as roles:
        await roles.queue.enqueue([spec("t"), spec("u")])
        grants = await roles.queue.claim(["default"], 2, "w", 30_000, NONCE)
        wire = await roles.queue.shared.link.wire()
        failures = [
            Failure(grant.id, grant.token, "x" * size) for grant, size in zip(grants, (9, 1 << 20), strict=True)
        ]
        with pytest.raises(LimitExceededError, match=r"takes at most 1,048,576\. Pass and return references"):
            await roles.queue.fail(failures)
        assert wire.is_usable
        assert {record.state for record in await roles.queue.list()} == {TaskStatus.RUNNING}


async def test_a_damaged_body_ends_its_task_and_a_damaged_head_blocks_nobody(url, open_roles):
    async with open_roles(url) as roles:
        store = roles.queue.shared
        large = TaskBody(func="f", args=b"x" * 5_000)
        await roles.queue.enqueue([TaskSpec(id="body", body=large), spec("head"), spec("good")])
        await store.jetstream.write([Write(store.names.task("head"), None, b"\xc1")], Progress())
        (slot,) = await store.load(["body"])
        place = store.names.body(slot.row[-1][1])
        await store.jetstream.write([Write(place, None, b"\xc1 raw")], Progress())
        grants = await roles.queue.claim(["default"], 5, "w", 30_000, NONCE)
        assert [grant.id for grant in grants] == ["good"]
        (record,) = await roles.queue.get(["body"])
        assert record.state is TaskStatus.FAILED
        (message,) = await store.jetstream.last([place])
        assert message.payload == b"\xc1 raw"


@pytest.mark.parametrize("damage", [b"\xc1", b"\x93\x01\x02\x03", b"\xa1x"])
async def test_no_damaged_message_holds_up_those_after_it(url, open_roles, damage):
    async with open_roles(url) as roles:
        store = roles.queue.shared
        names = store.names
        await roles.queue.count()
        wire = await store.link.wire()
        damaged = [names.task("x"), names.paused("q"), names.schedule("s")]
        await store.jetstream.write([Write(subject, None, damage) for subject in damaged], Progress())
        await roles.queue.enqueue([spec("good")])
        assert await roles.queue.count() == 1
        assert (len(store.view.damaged), wire.is_usable) == (3, True)
        schedule = Schedule(id="good", kind=ScheduleKind.INTERVAL, interval_ms=1_000, body=BODY, next_run=0)
        await roles.schedules.put(schedule)
        assert [each.id for each in await roles.schedules.due()] == ["good"]
        with pytest.raises(StoreFormatError, match="damaged"):
            await roles.schedules.get(["s"])


# The server


async def test_both_generations_of_servers_are_told(url, open_roles):
    async with open_roles(url, sync_always=True) as roles:
        capabilities = roles.queue.capabilities
        assert capabilities.server_version.startswith("nats-server 2.")
        assert capabilities.durability is Durability.OS_CRASH
        assert capabilities.warnings == ()
    async with open_roles(url, storage="memory") as roles:
        assert roles.queue.capabilities.durability is Durability.NONE


@pytest.fixture
def in_the_way(own_server):
    """A file where the server has its folder, so that it can make no stream."""
    path = own_server.folder / "jetstream/jetstream"
    path.rename(path.with_name("moved"))
    path.write_text("in the way")
    return path


async def test_a_stream_is_made_once_the_server_can_store_it(own_server, open_roles, in_the_way, monkeypatch):
    # It also removes the folder of all streams a little after the last one was deleted, just when one is being made.
    pauses = []

    async def cleared_meanwhile(seconds):
        pauses.append(seconds)
        in_the_way.unlink()

    monkeypatch.setattr(greeting, "asyncio", SimpleNamespace(sleep=cleared_meanwhile))
    async with open_roles(own_server.url) as roles:
        assert len(pauses) == 1
        assert [answer.created for answer in await roles.queue.enqueue([spec("t")])] == [True]


async def test_a_stream_that_the_server_cannot_store_is_refused_with_the_remedy(own_server, open_roles, in_the_way):
    with pytest.raises(ConfigError, match=r"error creating store for stream\. Check the server's log"):
        async with open_roles(own_server.url):
            pass
    assert in_the_way.is_file()


async def test_a_stream_of_others_is_refused(url, open_roles):
    async with open_roles(url, namespace="mine") as roles:
        store = roles.queue.shared
        told = await store.jetstream.info(store.names.log)
        told["config"]["description"] = "somebody's"
        await store.jetstream.api(f"STREAM.UPDATE.{store.names.log}", told["config"])
    with pytest.raises(StoreFormatError, match="not one of omniq-nats"):
        async with open_roles(url, namespace="mine"):
            pass


async def test_the_doctor_sees_drift(own_server, open_roles):
    async with open_roles(own_server.url) as roles:
        stores = SimpleNamespace(
            task_queue=roles.queue, results=roles.results, events=roles.events, schedules=roles.schedules
        )
        app = SimpleNamespace(stores=stores)
        found = {finding.name: finding for finding in await omniq_doctor_checks(app)}
        store = roles.queue.shared
        title = f"nats stream {store.names.log}"
        assert found[title].severity is Severity.OK
        assert found["nats durability"].severity is Severity.WARNING
        told = await store.jetstream.info(store.names.log)
        told["config"]["max_age"] = 3_600_000_000_000
        await store.jetstream.api(f"STREAM.UPDATE.{store.names.log}", told["config"])
        found = {finding.name: finding for finding in await omniq_doctor_checks(app)}
        assert (found[title].severity, "max_age" in found[title].message) == (Severity.ERROR, True)


@pytest.mark.parametrize(("interval", "severity"), [("always", Severity.OK), ("2m", Severity.ERROR)])
async def test_the_doctor_checks_what_the_options_say_of_the_disk(open_roles, starts_with, interval, severity):
    from omniq_conformance.servers.private import free_port

    port = free_port()
    with starts_with(http=f"127.0.0.1:{port}", jetstream={"sync_interval": interval}) as server:
        if server is None:
            return
        async with open_roles(server.url, sync_always=True, monitoring=f"http://127.0.0.1:{port}") as roles:
            stores = SimpleNamespace(
                task_queue=roles.queue, results=roles.results, events=roles.events, schedules=roles.schedules
            )
            found = {each.name: each for each in await omniq_doctor_checks(SimpleNamespace(stores=stores))}
            assert found["nats durability"].severity is severity, json.dumps(str(found))
