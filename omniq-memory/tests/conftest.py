from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from omniq.clock import FakeClock
from omniq.models.config import Role
from omniq.models.record import TaskBody, TaskSpec
from omniq.storage.backend import BackendConfig
from omniq_memory import plugin
from omniq_memory.options import shared_state

OTHERS = frozenset(Role) - {Role.TASK_QUEUE}


class Roles:
    """The four roles of one configuration."""

    def __init__(self, config):
        self.state = shared_state(config)
        self.queue = plugin.omniq_create_task_queue(config)
        self.results = plugin.omniq_create_result_storage(config)
        self.events = plugin.omniq_create_event_storage(config)
        self.schedules = plugin.omniq_create_schedule_storage(config)

    @property
    def all(self):
        return (self.queue, self.results, self.events, self.schedules)


@pytest.fixture
async def open_roles():
    async with AsyncExitStack() as stack:

        async def open_all(joined=OTHERS, **options):
            roles = Roles(BackendConfig(backend_type="memory", **options))
            for role in roles.all:
                await stack.enter_async_context(role)
            roles.queue.join(frozenset(joined))
            return roles

        yield open_all


@pytest.fixture
async def roles(open_roles):
    """All four roles, joined."""
    return await open_roles()


@pytest.fixture
async def separate(open_roles):
    """All four roles, none joined."""
    return await open_roles(joined=())


@pytest.fixture
def clock(roles):
    """The clock of `roles`, stopped."""
    roles.state.clock = FakeClock()
    return roles.state.clock


@pytest.fixture
def spec():
    def make(task_id, *, result_ttl_ms=None, func="m.f", **options):
        return TaskSpec(id=task_id, body=TaskBody(func=func, result_ttl_ms=result_ttl_ms), **options)

    return make


@pytest.fixture
def until_waiting():
    async def wait(board, key, count=1):
        while len(board.waiting.get(key, ())) < count:  # noqa: ASYNC110 - a board tells nobody who comes
            await asyncio.sleep(0)

    return wait
