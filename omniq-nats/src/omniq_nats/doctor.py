"""What `omniq doctor` says about the servers that an application uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.storage.hookspecs import hookimpl

if TYPE_CHECKING:
    from omniq.storage.upkeep import Finding

__all__ = ["omniq_doctor_checks"]


@hookimpl
async def omniq_doctor_checks(app: Any) -> list[Finding]:
    """Look at each namespace once."""
    stores = app.stores
    storages = (stores.task_queue, stores.results, stores.events, stores.schedules)
    # By name, because importing the classes would import the driver, also where nobody uses it.
    ours = [each for each in storages if type(each).__module__.startswith("omniq_nats.")]
    if not ours:
        return []
    from omniq_nats.examining import examine

    found = {id(role.shared): role.shared for role in ours}
    return [finding for store in found.values() for finding in await examine(store)]
