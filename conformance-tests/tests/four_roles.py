"""The four roles of one configuration, for the tests of backends."""

from __future__ import annotations

from contextlib import asynccontextmanager

from omniq.models.config import Role


class Roles:
    """As the factory makes them: of one configuration, so that they share what the backend shares."""

    def __init__(self, plugin, config):
        self.queue = plugin.omniq_create_task_queue(config)
        self.results = plugin.omniq_create_result_storage(config)
        self.events = plugin.omniq_create_event_storage(config)
        self.schedules = plugin.omniq_create_schedule_storage(config)

    @property
    def all(self):
        return (self.queue, self.results, self.events, self.schedules)


@asynccontextmanager
async def opened(plugin, config, *, joined=True):
    """Open them, joined if nothing else is said, and close them."""
    roles = Roles(plugin, config)
    try:
        for role in roles.all:
            await role.open()
        if joined:
            roles.queue.join(frozenset(Role) - {Role.TASK_QUEUE})
        yield roles
    finally:
        for role in reversed(roles.all):
            await role.close()
