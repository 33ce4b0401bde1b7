"""A process whose files may not grow any more, as on a disk that is full, until that is over."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from omniq.errors import OutcomeUnknownError, StorageError
from omniq.models.record import Completion, TaskBody, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from omniq_conformance.faults.ledger import Ledger
    from omniq_conformance.space import Space, Stores

__all__ = ["fill"]

_FULL = 256 * 1024
"""Bytes that a file may have at most."""
_SMALL, _LARGE, _NUMBER = 16 * 1024, 2 * _FULL, 40
_LEASE = 600_000


async def fill(space: Space, ledger: Ledger) -> None:
    """Enqueue until that is refused, read, finish a task, and go on once there is room again, on the same handle."""
    import resource

    stores = await space.open()
    queue = stores.task_queue
    await _try(ledger, "before", queue.enqueue([_spec("before", 10)]))
    (grant,) = await queue.claim(("a",), 1, "worker", _LEASE, f"{1:016x}")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FULL, hard))
    for number in range(_NUMBER):
        id, size = f"t{number}", _LARGE if number == _NUMBER - 1 else _SMALL
        if not await _try(ledger, id, queue.enqueue([_spec(id, size)])):
            break
    ledger.note("readable", await _ids(stores))
    await _try(ledger, "complete", queue.complete([Completion(grant.id, grant.token)]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    ledger.note("room again")
    await _try(ledger, "after", queue.enqueue([_spec("after", _SMALL)]))
    reply = await queue.complete([Completion(grant.id, grant.token)])
    ledger.note("completed", *reply)
    ledger.note("readable", await _ids(stores))
    await space.close()
    ledger.note("end")


def _spec(id: str, size: int) -> TaskSpec:
    return TaskSpec(id=id, body=TaskBody(func="pkg.f", args=b'["%s"]' % base64.b64encode(os.urandom(size))), queue="a")


async def _ids(stores: Stores) -> list[str]:
    return [record.id for record in await stores.task_queue.list(limit=1000)]


async def _try(ledger: Ledger, name: str, call: Awaitable[object]) -> bool:
    try:
        await call
    except StorageError as error:
        unknown = isinstance(error, OutcomeUnknownError)
        ledger.note("unknown" if unknown else "refused", name, f"{type(error).__name__}: {error}")
        return False
    except Exception as error:  # noqa: BLE001 - what it is decides the verdict
        ledger.note("untyped", name, f"{type(error).__name__}: {error}")
        return False
    ledger.note("ok", name)
    return True
