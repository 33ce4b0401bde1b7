"""What an author of a backend writes: how a fresh store is opened and destroyed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import attrs

from omniq.models.config import Role
from omniq.storage.events import EventStorage
from omniq.storage.results import ResultStorage
from omniq.storage.schedules import ScheduleStorage
from omniq.storage.task_queue import TaskQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omniq.storage.backend import BackendConfig
    from omniq.storage.role import Storage

__all__ = ["Harness", "OpenedStores", "open_plugin"]

_ATTRIBUTES = {
    Role.TASK_QUEUE: "task_queue",
    Role.RESULT_STORAGE: "results",
    Role.EVENT_STORAGE: "events",
    Role.SCHEDULE_STORAGE: "schedules",
}


@attrs.frozen(kw_only=True)
class OpenedStores:
    """The opened roles of one handle on a namespace; None is a role that the backend does not offer."""

    task_queue: TaskQueue | None = None
    results: ResultStorage | None = None
    events: EventStorage | None = None
    schedules: ScheduleStorage | None = None

    def __iter__(self) -> Iterator[Storage]:
        found = (self.task_queue, self.results, self.events, self.schedules)
        return (storage for storage in found if storage is not None)

    def role(self, role: Role) -> Storage | None:
        """Return the storage of a role, None if it is not offered."""
        storage: Storage | None = getattr(self, _ATTRIBUTES[role])
        return storage

    async def close(self) -> None:
        """Close every role."""
        for storage in self:
            await storage.close()


class Harness(ABC):
    """Gives the suite stores to test.

    A namespace is a store of its own: nothing that happens in one is seen in another. The suite opens thousands of
    them, several handles on each, and handles from other threads and processes if the backend's scope allows it; for
    processes, the class has to be importable from its file and the instance has to be picklable.

    Attributes:
        backend: The backend's name.
    """

    backend: ClassVar[str]

    @abstractmethod
    async def open(self, namespace: str) -> OpenedStores:
        """Return a new handle on the namespace, which is made if it does not exist; its roles are open."""

    @abstractmethod
    async def destroy(self, namespace: str) -> None:
        """Remove the namespace with all that is in it; every handle was closed."""


async def open_plugin(plugin: object, config: BackendConfig) -> OpenedStores:
    """Make and open every role that a backend's plugin module offers; what most harnesses need.

    Args:
        plugin: The module with the creation hooks.
        config: Which store; a new object for every handle.
    """
    opened: dict[str, Storage] = {}
    try:
        for role, attribute in _ATTRIBUTES.items():
            create = getattr(plugin, f"omniq_create_{role.key}", None)
            if create is not None:
                storage: Storage = create(config)
                await storage.open()
                opened[attribute] = storage
    except BaseException:
        await OpenedStores(**opened).close()  # type: ignore[arg-type] # each hook makes its own role
        raise
    return OpenedStores(**opened)  # type: ignore[arg-type] # as above
