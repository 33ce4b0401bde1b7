from __future__ import annotations

import asyncio

import pytest

from omniq import AsyncOmniQ


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """Return where a new store is."""
    return "memory://" if request.param == "memory" else str(tmp_path / "omniq.db")


@pytest.fixture
async def app(store):
    async with AsyncOmniQ(store) as app:
        yield app


@pytest.fixture
def until():
    """Return a function that asks until the answer is true."""

    async def wait(ask) -> None:
        async with asyncio.timeout(15):
            while True:
                if await ask():
                    return
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
async def memory():
    async with AsyncOmniQ("memory://") as app:
        yield app
