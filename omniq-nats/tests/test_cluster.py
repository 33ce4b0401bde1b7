"""A cluster of three servers, of which one is killed under load, and comes back."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter

from omniq.errors import ConnectionLostError, OutcomeUnknownError
from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.status import TaskStatus
from omniq.storage.capabilities import Durability
from omniq_conformance import servers

BODY = TaskBody(func="m.f")
AWAY = (ConnectionLostError, OutcomeUnknownError)


class Load:
    """Producers and workers, and what they were told."""

    def __init__(self):
        self.is_over = False
        self.enqueued = []
        self.completed = Counter()

    async def produce(self, queue, name):
        """Enqueue tasks one by one, each under its own id until it is acknowledged."""
        for number in itertools.count():
            while True:
                if self.is_over:
                    return
                try:
                    await queue.enqueue([TaskSpec(id=f"{name}{number}", body=BODY)])
                except AWAY:
                    await asyncio.sleep(0.02)
                else:
                    break
            self.enqueued.append(f"{name}{number}")

    async def work(self, queue, worker):
        """Claim tasks and complete them."""
        while not self.is_over:
            try:
                grants = await queue.claim(["default"], 5, worker, 60_000, secrets.token_hex(8))
                done = await queue.complete([Completion(grant.id, grant.token) for grant in grants])
            except AWAY:
                await asyncio.sleep(0.02)
                continue
            self.completed.update(grant.id for grant, reply in zip(grants, done, strict=True) if reply == "ok")
            if not grants:
                await asyncio.sleep(0.02)

    async def goes_on(self, number):
        """Wait until so many more tasks were completed."""
        aim = self.completed.total() + number
        until = asyncio.get_running_loop().time() + 60
        while self.completed.total() < aim:
            assert asyncio.get_running_loop().time() < until
            await asyncio.sleep(0.05)


async def leader(queue):
    told = await queue.shared.jetstream.info(queue.shared.names.log)
    return int(told["cluster"]["leader"].rpartition("-")[2])


async def test_nothing_acknowledged_is_lost_with_a_server(open_roles):
    with servers.cluster("nats") as cluster:
        name = secrets.token_hex(8)
        async with (
            open_roles(cluster.url, replicas=3, namespace=name) as first,
            open_roles(cluster.url, replicas=3, namespace=name) as second,
        ):
            assert first.queue.capabilities.durability is Durability.REPLICATED
            load, queues = Load(), (first.queue, second.queue)
            running = [
                asyncio.create_task(call)
                for number, queue in enumerate(queues)
                for call in (load.produce(queue, f"p{number}-"), load.work(queue, f"w{number}"))
            ]
            await load.goes_on(20)
            killed = cluster.nodes[await leader(first.queue)]
            killed.kill()
            await load.goes_on(20)
            killed.restart()
            await load.goes_on(20)
            load.is_over = True
            await asyncio.gather(*running)
            records = {record.id: record for record in await first.queue.list(limit=1_000_000)}
        assert set(load.enqueued) <= records.keys()
        assert [task_id for task_id in load.completed if records[task_id].state is not TaskStatus.COMPLETED] == []
        assert set(load.completed.values()) == {1}
