"""`omniq backup`: a copy of the store while it is in use."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omniq.cli.command import store_command
from omniq.cli.exits import ExitCode
from omniq.cli.output import age
from omniq.errors import CapabilityError, ConfigError
from omniq.models.config import Role
from omniq.storage.upkeep import Upkeep

if TYPE_CHECKING:
    from omniq.cli.command import Session

__all__ = ["command"]


@store_command("backup")
@click.argument("destination", type=click.Path(path_type=Path))
async def command(session: Session, /, *, destination: Path) -> ExitCode:
    """Copy the task queue's store while it is in use.

    DESTINATION must not exist yet. Roles that are kept in another store are not part of the copy; they are
    named on standard error.
    """
    stores = await session.app.connect()
    plan = stores.plan
    queue = plan.role(Role.TASK_QUEUE)
    if not isinstance(stores.task_queue, Upkeep):
        raise CapabilityError(
            f"The {queue.backend_type} backend makes no backups of its own. Use the tools of its server, or copy its "
            "folder while nothing runs"
        )
    began = time.perf_counter()
    try:
        await stores.task_queue.backup(destination)
    except FileExistsError:
        raise ConfigError(
            f"DESTINATION: {str(destination)!r} exists already. Name a new file, so that nothing is lost"
        ) from None
    elsewhere = [entry.role.value for entry in plan.roles if entry.store != queue.store]
    if elsewhere:
        session.out.note(f"Not in this copy, because they are kept elsewhere: {', '.join(elsewhere)}.")
    size = _size(destination)
    if session.out.as_json:
        session.out.data({"destination": str(destination), "bytes": size, "not_included": elsewhere})
    else:
        session.out.say(f"{destination}: {size:,} bytes in {age(time.perf_counter() - began)}.")
    return ExitCode.OK


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
