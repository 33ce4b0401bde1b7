"""What `omniq doctor` says about the stores of files that an application uses."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from omniq.storage.upkeep import Finding, Severity
from omniq_file.local import LocalMedium

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq_file.role import FileRole
    from omniq_file.store import Store

__all__ = ["examine"]

_LITTLE = 256 << 20
_OPEN = 0o077


async def examine(roles: Iterable[FileRole]) -> list[Finding]:
    """Return what is found about the stores of roles that are open."""
    stores = {id(role.store): role.store for role in roles}
    return [finding for store in stores.values() for finding in await asyncio.to_thread(_examined, store)]


def _examined(store: Store) -> list[Finding]:
    medium = store.engine.medium
    if not isinstance(medium, LocalMedium):
        entries = store.engine.ask(lambda _: medium.position - store.engine.base)
        return [Finding("file log", Severity.OK, f"{entries} entries since this process began")]
    return [_room(medium), _modes(medium), _log(medium)]


def _room(medium: LocalMedium) -> Finding:
    free = shutil.disk_usage(medium.root).free
    text = f"{free / 2**20:,.0f} MiB are free beside {medium.root}"
    if free >= _LITTLE:
        return Finding("file disk", Severity.OK, text)
    return Finding("file disk", Severity.WARNING, text, "Free some space: on a full disk nothing can be enqueued")


def _modes(medium: LocalMedium) -> Finding:
    mode = medium.root.stat().st_mode & 0o777
    if not mode & _OPEN:
        return Finding("file permissions", Severity.OK, f"{medium.root} is private")
    text = f"other users can look into {medium.root} (mode {mode:o})"
    return Finding("file permissions", Severity.WARNING, text, f"chmod 700 {medium.root}, if that is not meant")


def _log(medium: LocalMedium) -> Finding:
    segments = medium.segments
    size = sum(segments.segment(number).stat().st_size for number in segments.segments())
    count = len(segments.segments())
    text = f"{size / 2**20:,.1f} MiB in {count} segments, checkpoint {segments.checkpoint_size():,} bytes"
    return Finding("file log", Severity.OK, text)
