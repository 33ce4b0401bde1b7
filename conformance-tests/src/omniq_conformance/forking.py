"""A process that forks while it has a store open: the child must not use it, the parent may."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from typing import TYPE_CHECKING

from omniq.errors import StoreClosedError
from omniq_conformance.cases.specimens import spec
from omniq_conformance.references import harness_from
from omniq_conformance.space import Space

if TYPE_CHECKING:
    from omniq.storage.task_queue import TaskQueue

__all__ = ["FORKED", "main"]

FORKED = "refused in the child, served in the parent"


async def _fork(space: Space) -> None:
    async with space:
        queue = (await space.open()).task_queue
        await queue.enqueue([spec("t")])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what this is about
            child = os.fork()
        if not child:
            os._exit(0 if _is_refused(queue) else 1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        there = [record.id for record in await queue.list()]
        if (os.waitstatus_to_exitcode(status), there) == (0, ["t"]):
            sys.stdout.write(FORKED)
        else:
            sys.stderr.write(f"The child ended with status {status}, and the parent found {there}.")


def _is_refused(queue: TaskQueue) -> bool:
    """In the child: call without a loop, which the parent's is not; a refusal does not wait for anything."""
    call = queue.enqueue([spec("u")])
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
