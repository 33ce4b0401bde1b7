"""What stays of tasks that are gone: nothing, once everybody has seen that they are."""

from __future__ import annotations

import asyncio

import pytest

from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TERMINAL, TaskStatus
from omniq_nats import jetstream, store

BODY = TaskBody(func="m.f", args=b"x" * 2_000)
FAR = 2**43
NONCE = "0123456789abcdef"


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(jetstream, "PASSING", 1)


async def ran(roles, ids):
    """Let tasks with keys be enqueued and run."""
    await roles.queue.enqueue([TaskSpec(id=each, body=BODY, unique_key=each) for each in ids])
    for grant in await roles.queue.claim(["default"], len(ids), "w", 30_000, NONCE):
        result = ResultRecord(
            grant.id, grant.token.seq, grant.token.epoch, TaskStatus.COMPLETED, b"1", "json", ttl_ms=1
        )
        await roles.queue.complete([Completion(grant.id, grant.token, result)])
    await roles.queue.outbox_ack(await roles.queue.outbox())


async def lived(roles, ids):
    """Let tasks be enqueued, run, and purged."""
    await ran(roles, ids)
    assert sorted(await roles.queue.purge(TERMINAL, FAR)) == sorted(ids)


async def left(roles):
    """Return how many messages there are besides that of the clock."""
    shared = roles.queue.shared
    streams = [await shared.jetstream.info(name) for name in (shared.names.log, shared.names.keys)]
    (clock,) = await shared.jetstream.last([shared.names.clock])
    return sum(told["state"]["messages"] for told in streams) - (clock is not None)


async def goes(roles):
    """Tell whether nothing is left soon; only by servers that can let messages go."""
    if not roles.queue.shared.jetstream.passes:
        assert roles.queue.capabilities.server_version.startswith("nats-server 2.9")
        return await left(roles) > 0
    for _ in range(500):
        if await left(roles) == 0:
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.usefixtures("soon")
async def test_nothing_is_left_of_purged_tasks_of_a_queue_alone(url, open_roles):
    async with open_roles(url, joined=False) as roles:
        await lived(roles, ["a", "b", "c"])
        assert await goes(roles)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("trims_first", [True, False])
async def test_nothing_is_left_of_purged_tasks_with_results_and_events(url, open_roles, trims_first):
    async with open_roles(url) as roles:
        if trims_first:
            await ran(roles, ["a"])
            assert await roles.events.trim(FAR) == 3
            assert await roles.queue.purge(TERMINAL, FAR) == ["a"]
        else:
            await lived(roles, ["a", "b", "c"])
            assert await roles.events.trim(FAR) == 9
        await roles.results.purge_expired(now=FAR)
        assert await goes(roles)
        assert await roles.events.read() == []


@pytest.mark.usefixtures("soon")
async def test_an_old_message_whose_deletion_did_not_come_to_the_server_goes_too(url, open_roles, monkeypatch):
    async with open_roles(url) as roles:
        with monkeypatch.context() as patch:
            patch.setattr(roles.queue.shared.jetstream, "drop", lambda *_: None)
            await lived(roles, ["a"])
        await roles.events.trim(FAR)
        await roles.results.purge_expired(now=FAR)
        assert await goes(roles)


async def test_an_id_can_be_used_again_all_the_while(url, open_roles):
    async with open_roles(url) as roles, open_roles(url, namespace="other") as other:
        assert await other.queue.count() == 0
        for number in range(4):
            await lived(roles, ["a"])
            await roles.events.trim(FAR)
            await roles.results.purge_expired(now=FAR)
            await asyncio.sleep(0.6 * number)
        await roles.queue.enqueue([TaskSpec(id="a", body=BODY)])
        assert [record.id for record in await roles.queue.list()] == ["a"]
        assert [event.type.value for event in await roles.events.read()] == ["ENQUEUED"]


async def test_who_was_away_for_long_reads_again_what_there_is(url, open_roles, monkeypatch):
    async with open_roles(url, namespace="away", joined=False) as roles:
        await roles.queue.enqueue([TaskSpec(id=each, body=BODY) for each in ("gone", "stays")])
        assert await roles.queue.count() == 2
        shared = roles.queue.shared
        await shared._feed.stop()
        (gone,) = await shared.load(["gone"])
        await shared.jetstream.delete(shared.names.log, [gone.rev], jetstream.Progress())
        assert await roles.queue.count() == 2  # nothing told of that
        monkeypatch.setattr(store, "_LONG", 0)
        assert [record.id for record in await roles.queue.list()] == ["stays"]
