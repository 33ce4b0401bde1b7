from __future__ import annotations

import pytest

from omniq_memory.conformance import MemoryHarness


@pytest.fixture(scope="session")
def harness():
    return MemoryHarness()
