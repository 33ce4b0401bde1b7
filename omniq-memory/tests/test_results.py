from __future__ import annotations

import random

import attrs
import pytest

from omniq.errors import LimitExceededError
from omniq.models.record import Completion, Failure
from omniq.models.result import ResultRecord
from omniq.models.status import TaskStatus


def outcome(task_id, **fields):
    return ResultRecord(id=task_id, seq=1, epoch=1, status=TaskStatus.COMPLETED, **fields)


async def test_an_outcome_comes_back_as_it_was(roles):
    full = ResultRecord(
        id="t", seq=2, epoch=3, status=TaskStatus.FAILED, value=b"v", codec="c", error="boom", ttl_ms=50
    )
    assert await roles.results.put([full], now=100) == [True]
    assert await roles.results.get(["t", "u"], now=149) == [attrs.evolve(full, stored_at=100, expires_at=150), None]
    assert await roles.results.get(["t"], now=150) == [None]


@pytest.mark.parametrize("seed", range(40))
async def test_pages_and_purges_follow_any_mixture_of_changes(roles, seed):
    chance = random.Random(seed)
    stored = {}
    for now in range(0, 300, 10):
        for _ in range(20):
            task_id = f"{chance.randrange(150):03}"
            ttl_ms = chance.choice([None, 5, 40, 200])
            await roles.results.put([outcome(task_id, ttl_ms=ttl_ms)], now=now)
            stored[task_id] = None if ttl_ms is None else now + ttl_ms
        for task_id in chance.sample(sorted(stored), 5):
            assert await roles.results.delete([task_id]) == [True]
            del stored[task_id]
        expired = sorted(at for at in stored.values() if at is not None and at <= now)
        visible = sorted(task_id for task_id, at in stored.items() if at is None or at > now)
        found = []
        while page := await roles.results.list(after=found[-1] if found else None, limit=7, now=now):
            found += [each.id for each in page]
        assert found == visible
        if chance.random() < 0.5:
            limit = chance.randint(1, 20)
            assert await roles.results.purge_expired(limit, now=now) == min(limit, len(expired))
            bound = (expired[:limit] or [-1])[-1]
            for task_id in [each for each, at in stored.items() if at is not None and at <= bound]:
                if task_id not in roles.state.results.outcomes:
                    del stored[task_id]
    assert set(stored) == set(roles.state.results.outcomes)


async def test_replacing_an_outcome_over_and_over_takes_no_room(roles):
    table = roles.state.results
    for now in range(1000):
        await roles.results.put([outcome("t", ttl_ms=now)] * 100, now=now)
    assert len(table.fresh) + len(table._ids) + len(table._by_expiry) < 35_000
    assert [each.id for each in await roles.results.list(now=0)] == ["t"]


async def test_a_value_over_the_limit_is_refused_whole(roles, spec):
    limit = roles.results.capabilities.max_payload_bytes
    large = outcome("large", value=bytes(limit + 1))
    with pytest.raises(LimitExceededError, match=r"'large'.*67,108,865 bytes.*67,108,864"):
        await roles.results.put([outcome("small"), large])
    await roles.queue.enqueue([spec("small"), spec("large")])
    small, other = await roles.queue.claim(["default"], 2, "w", 1000, "c")
    with pytest.raises(LimitExceededError):
        await roles.queue.complete([Completion("small", small.token), Completion("large", other.token, large)])
    with pytest.raises(LimitExceededError):
        await roles.queue.fail([Failure("large", other.token, "boom", result=large)])
    assert await roles.results.get(["small", "large"]) == [None, None]
    assert [each.state for each in await roles.queue.get(["small", "large"])] == [TaskStatus.RUNNING] * 2
