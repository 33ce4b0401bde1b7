"""How cases measure that something happened in time."""

from __future__ import annotations

import asyncio

import pytest

from omniq.storage.capabilities import Capabilities, Durability, Scope
from omniq_conformance.cases.timing import LateError, allowed, in_time, measured


@pytest.mark.parametrize("times", [1, 2])
def test_a_case_that_was_late_now_and_then_is_run_again(times):
    runs = []

    @measured
    async def late_at_first(trial):
        runs.append(trial)
        if len(runs) <= times:
            in_time(0.0, 1.0, "something had happened")

    asyncio.run(late_at_first("trial"))
    assert runs == ["trial"] * (times + 1)


def test_a_case_that_is_always_late_fails():
    @measured
    async def late(trial):
        in_time(0.0, 1.0, "something had happened")

    with pytest.raises(LateError, match=r"s until something had happened; allowed are 1\.00 s"):
        asyncio.run(late("trial"))


class Declaring:
    def __init__(self, **declared):
        self.capabilities = Capabilities(
            durability=Durability.NONE, scope=Scope.PROCESS, transaction_domain="x", server_version="x", **declared
        )


def test_a_push_has_to_come_sooner_than_the_poll_behind_it():
    assert allowed(Declaring(push=True, max_wait_ms=500)) == 0.25
    assert allowed(Declaring(push=True, max_wait_ms=30_000)) == 0.5
    assert allowed(Declaring(push=False, max_wait_ms=500)) == 1.0
