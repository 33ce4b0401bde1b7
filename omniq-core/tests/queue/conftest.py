from __future__ import annotations

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
async def memory():
    async with AsyncOmniQ("memory://") as app:
        yield app
