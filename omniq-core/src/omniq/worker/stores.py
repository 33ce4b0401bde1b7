"""Refuses to start a worker process on stores that no other process can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import CapabilityError
from omniq.models.config import Role
from omniq.storage.capabilities import Scope

if TYPE_CHECKING:
    from omniq.storage.factory import Stores

__all__ = ["check_stores_for_process"]


def check_stores_for_process(stores: Stores) -> list[str]:
    """Check that producers in other processes can reach what a worker process works on.

    For workers that have a process to themselves. A worker inside the process that enqueues may use any store.

    Args:
        stores: The opened storages.

    Returns:
        Warnings about stores that may be private, in full sentences.

    Raises:
        CapabilityError: The queue, the results or the schedules are kept in this process's memory.
    """
    storages = {
        Role.TASK_QUEUE: stores.task_queue,
        Role.RESULT_STORAGE: stores.results,
        Role.SCHEDULE_STORAGE: stores.schedules,
        Role.EVENT_STORAGE: stores.events,
    }
    private = [role for role, storage in storages.items() if storage.capabilities.scope is Scope.PROCESS]
    refused = [role for role in private if role is not Role.EVENT_STORAGE]
    if refused:
        what = " and ".join(f"{role.value} ({_type(stores, role)})" for role in refused)
        variables = ", ".join(f"{role.type_variable}=sqlite" for role in refused)
        raise CapabilityError(
            f"{what}: kept in the memory of this process, so no other process could enqueue to this worker or see "
            f"what it did. Choose a store that processes share, for example {variables}, or run the worker inside the "
            "process that enqueues: async with app.worker()."
        )
    if not private:
        return []
    warning = (
        f"event storage ({_type(stores, Role.EVENT_STORAGE)}): the events of this worker are kept in its memory; other "
        f"processes do not see them and they are gone when it ends. To keep them: "
        f"{Role.EVENT_STORAGE.type_variable}=sqlite."
    )
    return [warning]


def _type(stores: Stores, role: Role) -> str:
    return stores.plan.role(role).backend_type
