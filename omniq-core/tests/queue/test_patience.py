from __future__ import annotations

import asyncio

import pytest

from omniq.errors import ConnectionLostError, OutcomeUnknownError, StorageError
from omniq.queue.patience import persist


class Attempts:
    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.times: list[float] = []

    async def __call__(self) -> str:
        self.times.append(asyncio.get_running_loop().time())
        if self.failures:
            raise self.failures.pop(0)
        return "done"


async def test_it_is_done_at_once_if_it_can_be():
    attempts = Attempts()
    assert await persist(attempts) == "done"
    assert len(attempts.times) == 1


async def test_it_is_tried_again_with_growing_delays():
    attempts = Attempts(ConnectionLostError(), OutcomeUnknownError(), ConnectionLostError())
    assert await persist(attempts) == "done"
    first, second, third = (b - a for a, b in zip(attempts.times, attempts.times[1:], strict=False))
    assert first >= 0.049
    assert second >= 2 * 0.049
    assert third >= 4 * 0.049


async def test_the_last_error_is_raised_when_the_time_is_up():
    attempts = Attempts(*(ConnectionLostError(str(i)) for i in range(100)))
    with pytest.raises(ConnectionLostError):
        await persist(attempts, limit=0.1)
    assert 2 <= len(attempts.times) <= 4


async def test_any_other_error_is_raised_at_once():
    attempts = Attempts(StorageError("disk full"))
    with pytest.raises(StorageError, match="disk full"):
        await persist(attempts)
    assert len(attempts.times) == 1
