"""A process that forks while it has a store open: the child must not use it, the parent may."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from typing import TYPE_CHECKING

from omniq.errors import StoreClosedError
from omniq.models.record import TaskBody
from omniq.models.schedule import Schedule, ScheduleKind
from omniq.storage.events import EventStorage
from omniq.storage.results import ResultStorage
from omniq.storage.schedules import ScheduleStorage
from omniq.storage.task_queue import TaskQueue
from omniq_conformance.cases.specimens import event, outcome, spec
from omniq_conformance.references import harness_from
from omniq_conformance.space import Space

if TYPE_CHECKING:
    from omniq.storage.role import Storage

__all__ = ["FORKED", "main"]

FORKED = "refused in the child, served in the parent"
_THERE = ["t"]


async def _fork(space: Space) -> None:
    async with space:
        storage = next(iter((await space.open()).opened))
        await _use(storage)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what this is about
            child = os.fork()
        if not child:
            os._exit(0 if _is_refused(storage) else 1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        there = await _use(storage)
        if (os.waitstatus_to_exitcode(status), there) == (0, _THERE):
            sys.stdout.write(FORKED)
        else:
            sys.stderr.write(f"The child ended with status {status}, and the parent found {there}.")


async def _use(storage: Storage) -> list[str]:
    """Store something under the id `t`, in whichever role this is, and return which ids are there."""
    match storage:
        case TaskQueue():
            await storage.enqueue([spec("t")])
            return [record.id for record in await storage.list()]
        case ResultStorage():
            await storage.put([outcome("t")])
            return [record.id for record in await storage.list()]
        case EventStorage():
            await storage.append([event("t", 1)])
            return [each.task_id for each in await storage.read()]
        case ScheduleStorage():
            await storage.put(Schedule(id="t", kind=ScheduleKind.ONCE, body=TaskBody(func="pkg.f")))
            return [schedule.id for schedule in await storage.list()]
        case _:
            msg = f"{type(storage).__name__} is none of the four roles."
            raise TypeError(msg)


def _is_refused(storage: Storage) -> bool:
    """In the child: call without a loop, which the parent's is not; a refusal does not wait for anything."""
    call = _use(storage)
    try:
        call.send(None)
    except StoreClosedError:
        return True
    except BaseException as error:  # noqa: BLE001 - whatever else comes is no refusal
        sys.stderr.write(f"The child got {error!r} instead of a StoreClosedError. ")
    else:
        sys.stderr.write("The child was served. ")
    sys.stderr.flush()
    return False


def main() -> None:
    """Do what the argument says."""
    order = json.loads(sys.argv[1])
    asyncio.run(_fork(Space(harness_from(order["harness"]), name=order["namespace"])))


if __name__ == "__main__":
    main()
