"""What the tests of stores do again and again."""

from __future__ import annotations

import asyncio
import os

from omniq.models.record import Completion, TaskBody, TaskSpec
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus
from omniq_file.chores import Compacting


def spec(task_id, size=0, **fields):
    return TaskSpec(id=task_id, body=TaskBody(func="pkg.f", args=b'["%s"]' % (b"x" * size)), **fields)


async def claimed(queue, limit=1):
    return await queue.claim(["default"], limit, "w", 60_000, os.urandom(8).hex())


async def completed(queue, limit=1):
    grants = await claimed(queue, limit)
    return await queue.complete(
        [
            Completion(g.id, g.token, ResultRecord(g.id, g.token.seq, g.token.epoch, TaskStatus.COMPLETED, b"5"))
            for g in grants
        ]
    )


async def compact(roles):
    """Write a checkpoint now."""
    engine = roles.queue.store.engine
    chore = next(each for each in engine.medium.chores(engine) if isinstance(each, Compacting))
    return await asyncio.to_thread(chore.compact)
