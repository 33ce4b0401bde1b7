from __future__ import annotations

import asyncio
import inspect
import json
import time

import attrs
import pytest

from omniq.models.config import OmniQConfig, StorageBackendConfig
from omniq.models.error import ErrorInfo
from omniq.models.record import TaskBody, TaskSpec
from omniq.queue.registry import TaskDefinition, TaskRegistry, resolve_run_in
from omniq.retry import RetryPolicy
from omniq.serialization import SerializerRegistry
from omniq.storage.factory import create_stores, make_plan
from omniq.worker import Worker, WorkerOptions

SOON = RetryPolicy(base_delay=0.001, jitter=0)


class Shop:
    """An application in small: opened stores, a registry, and workers on them."""

    def __init__(self, config, stores):
        self.config = config
        self.stores = stores
        self.queue = stores.task_queue
        self.registry = TaskRegistry()
        self.serializers = SerializerRegistry()
        self._number = 0

    def task(self, func=None, *, name=None, retry=SOON, run_in="auto"):
        def register(func):
            where = resolve_run_in(func, run_in)
            self.registry.add(TaskDefinition(name=name or func.__name__, func=func, retry=retry, run_in=where))
            return func

        return register if func is None else register(func)

    def spec(self, func, *args, kwargs=None, body=None, **options):
        self._number += 1
        name = func if isinstance(func, str) else func.__name__
        options.setdefault("id", f"t{self._number}")
        full = TaskBody(func=name, args=json.dumps(args).encode(), kwargs=json.dumps(kwargs or {}).encode())
        return TaskSpec(body=attrs.evolve(full, **(body or {})), **options)

    async def enqueue(self, func, *args, **options):
        (answer,) = await self.queue.enqueue([self.spec(func, *args, **options)])
        return answer.id

    def worker(self, *, stores=None, hooks=None, **options):
        options.setdefault("lease_ms", 5000)
        options.setdefault("scheduler", False)
        options.setdefault("sweep", False)
        options.setdefault("concurrency", 10)
        return Worker(
            stores=stores or self.stores,
            registry=self.registry,
            config=self.config,
            serializers=self.serializers,
            options=WorkerOptions(**options),
            hooks=hooks,
        )

    async def work(self, **options):
        return await asyncio.wait_for(self.worker(burst=True, **options).run(), 30)

    async def head(self, task_id):
        (record,) = await self.queue.get([task_id])
        return record

    async def state(self, task_id):
        return str((await self.head(task_id)).state)

    async def outcome(self, task_id):
        (record,) = await self.stores.results.get([task_id])
        return record

    async def value(self, task_id):
        record = await self.outcome(task_id)
        return self.serializers.get(record.codec).loads(record.value)

    async def error(self, task_id):
        return ErrorInfo.from_json((await self.outcome(task_id)).error)

    async def events(self, task_id):
        return [str(event.type) for event in await self.stores.events.read(limit=1000) if event.task_id == task_id]

    async def ended(self, *ids, timeout=20):
        """Wait until the tasks have ended; return their states."""
        left, states = set(ids), {}
        give_up_at = time.monotonic() + timeout
        while left:
            assert time.monotonic() < give_up_at, f"not ended: {left}"
            done = await self.queue.wait_done(sorted(left), 1.0)
            states.update((task_id, str(state)) for task_id, state in done.items())
            left -= set(done)
        return [states[task_id] for task_id in ids]


async def until(condition, timeout=30.0):
    """Wait until a condition, plain or async, holds."""
    give_up_at = time.monotonic() + timeout
    while True:
        held = condition()
        if inspect.isawaitable(held):
            held = await held
        if held:
            return held
        assert time.monotonic() < give_up_at, "the condition did not come true"
        await asyncio.sleep(0.005)


@pytest.fixture(name="until")
def until_fixture():
    return until


def config_of(tmp_path, **backends):
    """Make a configuration from `queue="memory"` and the like; all roles of one type share a store."""

    def backend(kind):
        return StorageBackendConfig(kind, None if kind == "memory" else str(tmp_path / f"{kind}.db"))

    roles = {f"{role}_backend": backend(kind) for role, kind in backends.items()}
    return OmniQConfig(**roles)


@pytest.fixture
async def open_shop(tmp_path):
    opened = []

    async def open_shop(kind="memory", **roles):
        roles.setdefault("task_queue", kind)
        config = config_of(tmp_path, **roles)
        stores = create_stores(make_plan(config, environ={}))
        await stores.open()
        opened.append(stores)
        return Shop(config, stores)

    yield open_shop
    for stores in opened:
        await stores.close()


@pytest.fixture(params=["memory", "sqlite"])
async def shop(request, open_shop):
    return await open_shop(request.param)


@pytest.fixture
async def memory_shop(open_shop):
    return await open_shop("memory")
